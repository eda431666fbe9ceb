# syntax=docker/dockerfile:1
#
# The image of the daemon: one static binary and the certificates of the public authorities, nothing else. deploy/README.md
# tells how to build and run it, .ci/image builds it without a registry and runs what is in it.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v1.2.3 --build-arg COMMIT=$(git rev-parse HEAD) .

# A release of Go that go.mod allows; a test compares them.
ARG GO_IMAGE=golang:1.26.8-bookworm

# Built on the machine's own architecture: Go compiles for the other one faster than an emulated compiler would.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION
ARG COMMIT
# timetzdata puts the time zones into the binary, so that TZ has a meaning without /usr/share/zoneinfo.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false -tags timetzdata \
      -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /out/plumbline ./cmd/plumbline
RUN mkdir -p /out/etc /out/state && echo 'plumbline:x:65532:65532::/var/lib/plumbline:/plumbline' >/out/etc/passwd

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/etc/passwd /etc/passwd
COPY --from=build --chown=65532:65532 /out/state /var/lib/plumbline
COPY --from=build /out/plumbline /plumbline

# By number: Kubernetes can check runAsNonRoot of no other user.
USER 65532:65532
# The configuration is /etc/plumbline/plumbline.yaml: every command reads plumbline.yaml of its working folder.
WORKDIR /etc/plumbline
# The default of web.listen is loopback, which nobody could reach here.
ENV PLUMBLINE_WEB_LISTEN=:8080 HOME=/var/lib/plumbline
VOLUME /var/lib/plumbline
# Status, health and metrics. They ask nobody who it is: publish the port to those who may see them only.
EXPOSE 8080
STOPSIGNAL SIGTERM
# With an address, and so without the configuration: one that is broken now must not make a daemon look dead that
# works on with the one before. Who changes PLUMBLINE_WEB_LISTEN changes this too.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD ["/plumbline", "status", "--health", "--url", "http://127.0.0.1:8080"]
ENTRYPOINT ["/plumbline"]
CMD ["run"]

ARG VERSION
ARG COMMIT
LABEL org.opencontainers.image.title="Plumbline" \
      org.opencontainers.image.description="Keeps AWS CodePipeline true to git" \
      org.opencontainers.image.source="https://github.com/plumbline/plumbline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
