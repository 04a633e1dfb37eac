"""Where Hydra finds the options of cnnlab's plug-ins; what decides which they are lies in cnnlab.plugins."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

OURS = "pkg://cnnlab.conf"


class PluginOptions(SearchPathPlugin):
    """Adds the folders conf/ of active plug-ins after cnnlab's own; other programs that use Hydra are left alone."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from cnnlab.plugins.active import active_plugins

        if all(element.path != OURS for element in search_path.get_path()):
            return
        for plugin in active_plugins():
            if plugin.options:
                search_path.append(str(plugin), f"file://{plugin.options}")
