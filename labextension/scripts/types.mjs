/**
 * Writes labextension/src/schema.ts from the JSON schema of tinytorch_core.report: the values have one definition.
 * With --check it only says whether the file is up to date.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as prettier from 'prettier';

const root = fileURLToPath(new URL('../..', import.meta.url));
const target = fileURLToPath(new URL('../src/schema.ts', import.meta.url));
const dump = 'import json; from tinytorch_core.report import schema; print(json.dumps(schema()))';

/** The TypeScript type of one schema: the few forms that msgspec writes for our structs, and no others. */
function type(schema) {
  if (schema.$ref) {
    return schema.$ref.split('/').pop();
  }
  if (schema.enum) {
    return schema.enum.map(value => JSON.stringify(value)).join(' | ');
  }
  if (schema.anyOf) {
    return schema.anyOf.map(type).join(' | ');
  }
  switch (schema.type) {
    case 'array':
      return `readonly (${type(schema.items)})[]`;
    case 'object':
      return `{ readonly [key: string]: ${type(schema.additionalProperties)} }`;
    case 'integer':
      return 'number';
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type;
    default:
      throw new Error(`types.mjs knows no TypeScript for ${JSON.stringify(schema)}`);
  }
}

function comment(text) {
  const lines = text.split('\n').map(line => ` * ${line.trim()}`.trimEnd());
  return `/**\n${lines.join('\n')}\n */\n`;
}

/** Every field is there in what the server sends, defaults included. */
function declaration([name, schema]) {
  const fields = Object.entries(schema.properties).map(
    ([field, value]) => `readonly ${field}: ${type(value)};`
  );
  const doc = schema.description ? comment(schema.description) : '';
  return `${doc}export interface ${name} {\n${fields.join('\n')}\n}\n`;
}

const schema = JSON.parse(
  execFileSync(process.env.PYTHON ?? 'python', ['-c', dump], { cwd: root, encoding: 'utf8' })
);
const banner =
  '// Generated from tinytorch_core/report.py by `jlpm types`. Do not edit by hand.\n\n';
const wanted = await prettier.format(
  banner + Object.entries(schema.$defs).map(declaration).join('\n'),
  { ...(await prettier.resolveConfig(target)), parser: 'typescript' }
);
if (!process.argv.includes('--check')) {
  writeFileSync(target, wanted);
} else if (readFileSync(target, 'utf8') !== wanted) {
  console.error('labextension/src/schema.ts is not what report.py says. Run `jlpm types`.');
  process.exit(1);
}
