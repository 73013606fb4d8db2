import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface PackedPackage {
  name: string;
  version: string;
  /** Paths in the tarball. */
  files: string[];
  /** The tarball's path. */
  tarball: string;
}

/** Packs this package as it is built. @throws when npm fails */
export async function packPackage(folder: string): Promise<PackedPackage> {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const { stdout } = await promisify(execFile)(npm, args, { cwd: root });
  const [{ name, version, files, filename }] = JSON.parse(stdout);
  const paths = files.map((file: { path: string }) => file.path);
  return { name, version, files: paths, tarball: join(folder, filename) };
}

/** A registry on loopback that has one package and nothing else, so what the package may leave out is left out. */
export async function serveRegistry({ name, version, tarball }: PackedPackage) {
  const content = readFileSync(tarball);
  const integrity = `sha512-${createHash("sha512").update(content).digest("base64")}`;
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const server = createServer((request, response) => {
    if (request.url === "/package.tgz") return response.end(content);
    if (request.url !== `/${name}`) return response.writeHead(404).end("{}");
    const dist = { tarball: `${url}/package.tgz`, integrity };
    const versions = { [version]: { ...manifest, dist } };
    return response.end(JSON.stringify({ name, versions, "dist-tags": { latest: version } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url, close };
}
