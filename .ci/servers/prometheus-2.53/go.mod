module stoker.invalid/servers/prometheus-2.53

go 1.26

require github.com/prometheus/prometheus v0.53.4
