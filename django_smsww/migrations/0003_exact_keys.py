from django.db import migrations

from django_smsww.models.fields import ExactCharField


class Migration(migrations.Migration):

    dependencies = [
        ("django_smsww", "0002_search"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="key",
            field=ExactCharField(blank=True, max_length=255, null=True, verbose_name="key"),
        ),
        migrations.AlterField(
            model_name="message",
            name="provider_id",
            field=ExactCharField(blank=True, max_length=64, null=True, verbose_name="provider id"),
        ),
    ]
