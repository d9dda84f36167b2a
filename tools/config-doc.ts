import {
  type ConfigKey,
  configKeys,
  configShape,
  type SchemaNode,
} from '../src/config/json-schema.ts';

/** The text of docs/configuration.md, made from the config's own schema. */
export function configDocText(): string {
  const keys = configKeys().filter(({ path }) => path !== '$schema');
  const sections = Map.groupBy(keys, ({ path }) => path.split(/[.[]/, 1)[0] ?? path);
  return `${HEAD}${[...sections].map(([name, own]) => sectionText(name, own)).join('\n')}`;
}

const HEAD = `# Configuration

<!-- Made by \`npm run schema\` from src/config/schema.ts: change it there. -->

Lagwise reads one JSON file, \`proxy.config.json\` unless \`--config\` names another. With
\`"$schema": "./proxy.schema.json"\` in it an editor completes and checks it, and
\`lagwise check\` prints every problem at once, or everything that would be used. The least
that works:

\`\`\`json
{
  "servers": [
    { "host": "10.0.0.1", "port": 3306 },
    { "host": "10.0.0.2", "port": 3306 }
  ],
  "monitor": { "user": "lagwise_monitor", "password": { "env": "MONITOR_PASSWORD" } }
}
\`\`\`

- Unknown keys and values out of range are errors, never ignored or corrected.
- Durations are milliseconds (\`…Ms\`), sizes bytes (\`…Bytes\`).
- A secret is a string, \`{"env": "NAME"}\` (an environment variable) or \`{"file": "path"}\`
  (the file's text without the line break at its end). Secrets are never printed or logged.
- Relative paths are relative to the folder of the config file.

`;

function sectionText(name: string, keys: readonly ConfigKey[]): string {
  const about = configShape().properties?.[name]?.description ?? '';
  const rows = keys.map((key) => {
    const { node } = key;
    const range = rangeText(node);
    return `| \`${key.path}\` | ${typeText(node)} | ${defaultText(key)} | ${range === '' ? '' : `${range}. `}${cell(node.description ?? '')} |`;
  });
  return [
    `## ${name}`,
    '',
    `${about}.`,
    '',
    '| key | type | default | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function typeText(node: SchemaNode): string {
  if (node.enum !== undefined)
    return cell(node.enum.map((word) => `\`"${String(word)}"\``).join(' | '));
  if (node.anyOf !== undefined) return node.anyOf.map((each) => typeText(each)).join(' \\| ');
  if (node.type === 'array') {
    const item = node.items === undefined ? 'object' : typeText(node.items);
    return item === 'object' ? 'list' : `list of ${item}`;
  }
  if (node.properties !== undefined) {
    const names = Object.keys(node.properties);
    return names.length > 2 ? 'object' : `\`{${names.map((each) => `"${each}"`).join(', ')}}\``;
  }
  return node.type ?? 'any';
}

function rangeText({ minimum, maximum }: SchemaNode): string {
  if (minimum === undefined || maximum === undefined) return '';
  return `${minimum} to ${maximum}`;
}

function defaultText({ path, node, required }: ConfigKey): string {
  if (required) return 'required';
  if (path === 'servers[].id') return '`host:port`';
  return node.default === undefined ? '' : `\`${JSON.stringify(node.default)}\``;
}

/** A table cell must not hold the column sign. */
function cell(text: string): string {
  return text.replaceAll(' | ', ' \\| ');
}
