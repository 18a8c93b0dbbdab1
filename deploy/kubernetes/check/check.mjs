// Checks manifests against the types of the Kubernetes API: each document
// becomes an object literal of its kind's type, so the TypeScript compiler finds
// fields that do not exist, and wrong values; then the API's schema validates it.
//
//   node check.mjs FILE...

import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { basename, join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

const here = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(here, ".check-"));
let faults = 0;

const fault = (message) => {
  console.error(message);
  faults++;
};

let manifests = 0;
const sources = [];
for (const file of process.argv.slice(2)) {
  const lines = [];
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    document.errors.forEach((error) => fault(`${file}: ${error.message}`));
    const manifest = document.toJSON();
    const path = `kubernetes-models/${manifest.apiVersion}/${manifest.kind}`;
    lines.push(`import { I${manifest.kind} as T${lines.length} } from ${JSON.stringify(path)};\nexport const d${lines.length}: T${lines.length} = ${JSON.stringify(manifest, null, 2)};`);
    const { [manifest.kind]: Model } = await import(path);
    try {
      new Model(manifest).validate();
    } catch (error) {
      fault(`${file}: ${manifest.kind} ${manifest.metadata?.name}: ${error.message}`);
    }
  }
  manifests += lines.length;
  sources.push(join(work, `${sources.length}-${basename(file)}.ts`));
  writeFileSync(sources.at(-1), lines.join("\n"));
}
try {
  execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--skipLibCheck",
    "--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022", ...sources], { encoding: "utf8" });
} catch (error) {
  fault(error.stdout);
}
rmSync(work, { recursive: true });
console.log(`${manifests} manifests, ${faults} faults`);
process.exit(faults ? 1 : 0);
