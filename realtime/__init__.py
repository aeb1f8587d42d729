"""The way out, live: topics, messages, publishing, the hub, sockets and dashboards."""
