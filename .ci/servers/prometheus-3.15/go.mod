module stoker.invalid/servers/prometheus-3.15

go 1.26

require github.com/prometheus/prometheus v0.315.0
