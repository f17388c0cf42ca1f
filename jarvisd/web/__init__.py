"""The local page: a process on 127.0.0.1, started by `jarvisctl open`. Its rooms import `jarvisd.web.pages` alone."""
