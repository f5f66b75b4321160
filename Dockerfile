# Two ways to the same image, which has nothing in it but a static binary:
#
#   docker build .                       compiles in a Go image
#   make docker                          takes bin/stoker as it is and pulls nothing (--target prebuilt)
#
# CA roots and time zones are inside the binary.

# Folders that a fresh volume takes its owner from. There is no shell here to make them, but WORKDIR does.
FROM scratch AS folders
WORKDIR /var/lib/stoker/prometheus
WORKDIR /var/lib/stoker/alertmanager
WORKDIR /var/lib/stoker/targets
WORKDIR /var/lib/stoker/state

FROM scratch AS base
# The images of Prometheus and Alertmanager run as 65534 too, so that they can read what stoker writes.
COPY --from=folders --chown=65534:65534 /var/lib/ /var/lib/
USER 65534:65534
EXPOSE 9096
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/bin/stoker", "healthcheck"]
ENTRYPOINT ["/bin/stoker"]
CMD ["run", "--config.file=/etc/stoker/stoker.yml"]

# Before the Go image, because the classic builder runs every stage above its target.
FROM base AS prebuilt
COPY bin/stoker /bin/stoker

FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
ARG REVISION=unknown
RUN CGO_ENABLED=0 go build -trimpath -o /stoker -ldflags "-s -w \
    -X github.com/prometheus/common/version.Version=${VERSION} \
    -X github.com/prometheus/common/version.Revision=${REVISION}" ./cmd/stoker

FROM base
COPY --from=build /stoker /bin/stoker
