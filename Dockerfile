# The image is the static binary and nothing else: no shell, no libraries, no package that could need an update. Build it
# with `make image`, which builds the binary first; the build context is the folder that holds it.
FROM scratch
COPY mooring /mooring
# A number, so that the kubelet can tell that it is not root. There is no /etc/passwd.
USER 65532:65532
ENTRYPOINT ["/mooring"]
