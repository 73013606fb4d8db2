# The server over HTTP. It is reached from other machines, so it starts only with tokens for its callers:
#
#   docker build -t automagik-workflows-mcp .
#   docker run -p 28882:28882 -v workflows-state:/state \
#     -e AUTOMAGIK_WORKFLOWS_TOKENS=me=<16 characters or more> \
#     -e AUTOMAGIK_WORKFLOWS_HTTP_ALLOWED_HOSTS=<name by which it is called> \
#     -e AUTOMAGIK_WORKFLOWS_BASE_URL=<address of the workflows API> -e AUTOMAGIK_WORKFLOWS_API_KEY=<its key> \
#     automagik-workflows-mcp
FROM node:22-alpine AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY mocks mocks
RUN npm run build && rm -rf dist/types dist/mocks dist/index.js

# The build needs no other package but the database library, with its program for this platform.
FROM node:22-alpine AS packages
WORKDIR /packages
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# Git is left out, as serve looks at no repository unless told.
FROM node:22-alpine
ENV NODE_ENV=production \
    AUTOMAGIK_WORKFLOWS_HTTP_HOST=0.0.0.0 \
    AUTOMAGIK_WORKFLOWS_STATE_DIR=/state
WORKDIR /app
COPY package.json LICENSE CHANGELOG.md ./
COPY workflows workflows
COPY plans plans
COPY --from=packages /packages/node_modules node_modules
COPY --from=build /build/dist dist
RUN mkdir /state && chown node:node /state
USER node
VOLUME /state
EXPOSE 28882
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:28882/health').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/cli.js"]
CMD ["serve"]
