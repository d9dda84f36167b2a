import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkReport } from '../../../src/cli/check.ts';

const folder = mkdtempSync(join(tmpdir(), 'lagwise-check-'));
afterAll(() => rmSync(folder, { recursive: true }));

function report(json: object) {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(json));
  return checkReport(path, { PASS: 'hunter2' });
}

test('a good config is printed with its defaults and without its secrets', () => {
  const { ok, text } = report({
    servers: [{ host: 'a' }],
    monitor: { user: 'm', password: { env: 'PASS' } },
  });
  expect(ok).toBe(true);
  expect(JSON.parse(text)).toMatchObject({
    listen: { port: 6033 },
    monitor: { user: 'm', password: '[secret]' },
  });
  expect(text).not.toContain('hunter2');
});

test('a wrong config is refused with all problems', () => {
  const { ok, text } = report({ servers: [], monitor: {} });
  expect(ok).toBe(false);
  expect(text).toContain('has 3 problems');
  for (const path of ['servers', 'monitor.user', 'monitor.password']) {
    expect(text).toContain(`\n  ${path}: `);
  }
});
