"""A device of django-otp that gets its codes by SMS.

Put `django_smsww.contrib.otp` into INSTALLED_APPS, after `django_otp`, and run `manage.py migrate`.
"""
