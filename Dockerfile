# Hookyard as an image: one static program and the certificates it trusts.
#
#   docker build --tag hookyard .

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The dependencies seldom change, so they are a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
# Everything, with .git: Go records the commit as the version that `hookyard
# --version`, the metrics and the traces tell.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags='-s -w' -o /hookyard ./cmd/hookyard

# Nothing else is in it: no shell, and no file that anybody has to write.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /hookyard /hookyard
# By number, since there is no /etc/passwd and since Kubernetes can tell only a
# number from root.
USER 65532:65532
# Where `serve` looks for hookyard.yaml.
WORKDIR /etc/hookyard
EXPOSE 8080
# Alive, not ready: what watches this starts the container anew, which mends
# nothing while Temporal is away. Exit codes are Docker's, 0 and 1.
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s --retries=3 CMD ["/hookyard", "health", "--live"]
ENTRYPOINT ["/hookyard"]
CMD ["serve"]
