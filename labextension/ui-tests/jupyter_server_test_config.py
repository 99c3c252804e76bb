"""Server configuration for the browser tests: no token, no news, its own settings. Never use it in production."""

import json
import os
from pathlib import Path

c = get_config()  # noqa: F821
home = Path(os.environ["TINYTORCH_UI_HOME"])

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = int(os.environ["TINYTORCH_UI_PORT"])
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.ServerApp.root_dir = str(home / "folder")
c.IdentityProvider.token = ""
c.ServerApp.password = ""
c.LabApp.workspaces_dir = str(home / "layouts")
c.LabApp.user_settings_dir = str(home / "settings")
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.expose_app_in_browser = True

for name, limit in json.loads(os.environ.get("TINYTORCH_UI_LIMITS", "{}")).items():
    setattr(c.TinyTorchApp, name, limit)

for plugin, value in {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}.items():
    file = home / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))
