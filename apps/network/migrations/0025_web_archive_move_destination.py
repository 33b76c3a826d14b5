# Those that exist may be destinations as before: they get the first default. New ones get the second.

from django.db import migrations, models

_TOLD = {
    'help_text': 'Whoever may retrieve over DICOM may then have instances sent to it, by its name, which has 16 characters at most for that.',
    'verbose_name': 'may be a C-MOVE destination',
}


class Migration(migrations.Migration):

    dependencies = [
        ('network', '0024_web_archive_certificates'),
    ]

    operations = [
        migrations.AddField(
            model_name='webarchive',
            name='move_destination',
            field=models.BooleanField(db_default=True, default=True, **_TOLD),
        ),
        migrations.AlterField(
            model_name='webarchive',
            name='move_destination',
            field=models.BooleanField(db_default=False, default=False, **_TOLD),
        ),
    ]
