// Pyodide refuses to start in a classic worker, which it takes for one that cannot import modules. Ours has
// all of them, and from a folder a browser starts no other.
self.importScripts = undefined;
