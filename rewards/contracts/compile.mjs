// Compile the contracts with the pinned solc and write artifacts/*.json, or with --check say whether they are current.
// Example: npm run compile
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const solc = createRequire(import.meta.url)("solc");
const CONTRACTS = ["CairnRewards", "CairnTestToken"];

// Cancun is the newest fork that every chain we name supports; claims happen far more often than deployments.
const SETTINGS = {
  optimizer: { enabled: true, runs: 1000 },
  evmVersion: "cancun",
  viaIR: true,
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

function readSource(path) {
  const folder = path.startsWith("@") ? join(here, "node_modules") : here;
  return readFileSync(join(folder, path), "utf8");
}

function compile() {
  const used = new Map();
  const read = (path) => {
    const content = readSource(path);
    used.set(path, content);
    return { contents: content };
  };
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(CONTRACTS.map((name) => [`${name}.sol`, { content: read(`${name}.sol`).contents }])),
    settings: {
      ...SETTINGS,
      outputSelection: {
        "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"] },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  // 2394 reminds that transient storage outlives a call; OpenZeppelin's guard clears it. Any other warning stops the
  // build: what the compiler wonders about, a reader will.
  const problems = (output.errors ?? []).filter((problem) => problem.errorCode !== "2394");
  for (const problem of problems) process.stderr.write(problem.formattedMessage);
  if (problems.length > 0) process.exit(1);
  return { output, used };
}

function artifactOf(name, { output, used }) {
  const { abi, evm } = output.contracts[`${name}.sol`][name];
  const digest = (content) => createHash("sha256").update(content).digest("hex");
  return {
    contractName: name,
    compiler: { version: solc.version(), settings: SETTINGS },
    sourcesSha256: Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, text]) => [path, digest(text)])),
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    immutableReferences: Object.values(evm.deployedBytecode.immutableReferences).flat().sort((a, b) => a.start - b.start),
  };
}

const compiled = compile();
const target = process.argv.includes("--out") ? process.argv[process.argv.indexOf("--out") + 1] : join(here, "artifacts");
let stale = 0;
for (const name of CONTRACTS) {
  const path = join(target, `${name}.json`);
  const text = `${JSON.stringify(artifactOf(name, compiled), null, 1)}\n`;
  if (process.argv.includes("--check")) {
    if (readFileSync(path, "utf8") !== text) {
      process.stderr.write(`${path} does not follow from the sources: run npm run compile\n`);
      stale = 1;
    }
  } else {
    mkdirSync(target, { recursive: true });
    writeFileSync(path, text);
    process.stderr.write(`wrote ${path}\n`);
  }
}
process.exit(stale);
