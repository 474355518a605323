"""The table of permissions in docs/admin.md, beside the models."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission

from django_smsww.models import Message

PAGE = Path(__file__).parents[2] / "docs" / "admin.md"


@pytest.mark.django_db
def test_the_table_explains_each_permission_of_the_models():
    section = PAGE.read_text().split("## Permissions")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    app = Message._meta.app_label
    known = Permission.objects.filter(content_type__app_label=app).values_list(
        "codename", flat=True
    )

    assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(known)
