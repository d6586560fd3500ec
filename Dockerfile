# docker build . and buildah bud . build this from a clone, for the platform that they are asked for.
ARG GO_IMAGE=docker.io/library/golang:1.26
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
# Modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -X main.version=$VERSION" -o /mooring ./cmd/mooring

# The static binary and nothing else: no shell, no libraries, no package that could need an update.
FROM scratch
COPY --from=build /mooring /mooring
# A number, so that the kubelet can tell that it is not root. There is no /etc/passwd.
USER 65532:65532
ENTRYPOINT ["/mooring"]
