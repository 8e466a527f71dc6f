# thawd and thaw-engine on Debian 12, as an ordinary user, with the data in /data.
#
#   docker build -t thaw .
#   docker run --read-only --tmpfs /tmp -v thaw-data:/data -p 127.0.0.1:8080:8080 thaw
#
# packages.txt says what is installed: group build here, groups run and image in what ships.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY packages.txt ./
RUN apt-get update \
 && apt-get install -y --no-install-recommends $(awk '$1 == "build" {print $2}' packages.txt) \
 && rm -rf /var/lib/apt/lists/*
COPY Makefile ./
COPY base base
COPY api api
COPY store store
COPY server server
COPY engine engine
COPY web web
COPY weights weights
RUN make -j2 B=/build all && strip /build/thawd /build/thaw-engine

FROM debian:bookworm-slim
COPY packages.txt /tmp/
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
        $(awk '$1 == "run" || $1 == "image" {print $2}' /tmp/packages.txt) \
 && rm -rf /var/lib/apt/lists/* /tmp/packages.txt \
 && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin thaw \
 && install -d -o thaw -g thaw -m 0700 /data
COPY --from=build /build/thawd /build/thaw-engine /usr/local/bin/

USER thaw
VOLUME /data
EXPOSE 8080
# Inside the container every address is the container's own; who reaches it is decided where its
# port is published, as on loopback above. Hence THAW_INSECURE, without which thawd refuses to
# serve other machines as long as nobody needs a token.
ENV THAW_LISTEN=0.0.0.0:8080 THAW_DATA=/data THAW_INSECURE=yes
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["/usr/local/bin/thawd"]
