# syntax=docker/dockerfile:1
# A static stormctl and nothing else: docker build -t stormctl .
#
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" stormctl run examples/breaker.yaml
#
# It runs as user 65532, not as root. Faults of the host and of network
# namespaces (net_partition, net_rate, disk_full, cpu and memory by cgroup) want
# root and its capabilities: --user 0 --cap-add NET_ADMIN, or --privileged. And
# it has no shell: what targets of kind process and exec faults run must be in
# the image, so copy the program into yours:
#
#   COPY --from=stormctl /usr/local/bin/stormctl /usr/local/bin/stormctl

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which the program knows its version.
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' \
      -o /root-of-image/usr/local/bin/stormctl ./cmd/stormctl
# The folders' modes survive where they are copied as content of another one.
RUN mkdir -p /root-of-image/usr/share/doc/stormctl && cp LICENSE THIRD-PARTY /root-of-image/usr/share/doc/stormctl/ \
 && mkdir -m 1777 /root-of-image/tmp && mkdir -m 0777 /root-of-image/work \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=build /root-of-image /
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/stormctl"]
