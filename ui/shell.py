"""placeholder"""


def install(app, hub):
    pass
