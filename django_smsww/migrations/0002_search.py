from django.db import migrations, models
from django.db.models.functions import Reverse, Substr

import django_smsww.models.fields


def fill(apps, schema_editor):
    rows = apps.get_model("django_smsww", "Message").objects.using(schema_editor.connection.alias)
    complete = rows.filter(recipient__startswith="+").exclude(recipient__endswith="…")
    complete.update(recipient_reversed=Reverse(Substr("recipient", 2)))


class Migration(migrations.Migration):

    dependencies = [
        ("django_smsww", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="recipient_reversed",
            field=django_smsww.models.fields.ReversedDigitsField(
                of="recipient", verbose_name="recipient, from its end"
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["recipient_reversed"], name="smsww_message_ending"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["tag", "-id"], name="smsww_message_tag"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["country", "-id"], name="smsww_message_country"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["alias", "-id"], name="smsww_message_alias"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["-id"], condition=models.Q(("dry_run", True)), name="smsww_message_dry"
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["key"],
                condition=models.Q(("key__isnull", False)),
                name="smsww_message_named",
            ),
        ),
    ]
