module stoker.invalid/servers/alertmanager-0.27

go 1.26

require github.com/prometheus/alertmanager v0.27.0
