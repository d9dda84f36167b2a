import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classifyLines } from '../../../src/cli/classify-lines.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { ROUTE_REASONS } from '../../../src/routing/route.ts';

const TEXT = readFileSync(new URL('../../../docs/rules.md', import.meta.url), 'utf8');

const blocks = (language: string): string[] =>
  [...TEXT.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, body]) => body ?? '',
  );

const EXAMPLES = blocks('sql')
  .flatMap((block) => block.trimEnd().split('\n'))
  .map((line) => /^(.*); +-- (\w+) \(([\w-]+)\)$/.exec(line)?.slice(1) ?? [line, '', '']);

describe('docs/rules.md', () => {
  it('has examples of both kinds', () => {
    expect(EXAMPLES.length).toBeGreaterThan(8);
    expect(blocks('json').length).toBeGreaterThan(1);
  });

  it.each(EXAMPLES)('%s goes to %s (%s)', async (sql, target, reason) => {
    let output = '';
    const line = Buffer.from(JSON.stringify(sql));
    const write = async (text: string) => {
      output += text;
    };
    await classifyLines(only(line), write, { flavor: 'mysql', version: '9.7.4' });
    expect(JSON.parse(output)).toMatchObject({ target, reason });
  });

  it.each(blocks('json').map((block, index) => ({ block, index })))(
    'its configuration $index is one',
    ({ block }) => {
      const needed = { servers: [{ host: 'db1' }], monitor: { user: 'm', password: 'x' } };
      const given: unknown = JSON.parse(block);
      const config = parseConfig(Object.assign({}, needed, given), { env: {} });
      expect(config.rules.length).toBeGreaterThan(0);
    },
  );

  it('names reasons that exist', () => {
    const last = TEXT.slice(TEXT.indexOf('## What routing did'));
    const named = [...last.matchAll(/`([a-z-]+)`/g)].map(([, word]) => word);
    expect(named.length).toBeGreaterThan(4);
    for (const word of named) expect(ROUTE_REASONS).toContain(word);
  });
});

async function* only(line: Buffer): AsyncGenerator<Buffer> {
  yield line;
}
