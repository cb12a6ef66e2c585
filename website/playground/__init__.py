"""The playground: incgen in a browser. Python runs in a worker, the editor in the page."""
