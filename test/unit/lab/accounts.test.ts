import { describe, expect, it } from 'vitest';
import { accountStatements, LAB_ACCOUNTS } from '../../../src/lab/accounts.ts';

describe.each(['mysql', 'mariadb'] as const)('accounts on %s', (flavor) => {
  const statements = accountStatements(flavor);
  const grantsOf = (user: string) =>
    statements.filter((sql) => sql.startsWith('GRANT') && sql.includes(`TO '${user}'@`)).join('; ');

  it('give the app nothing that passes a read-only server', () => {
    expect(grantsOf(LAB_ACCOUNTS.app.user)).not.toMatch(
      /\bALL\b|SUPER|SYSTEM_VARIABLES_ADMIN|CONNECTION_ADMIN|READ ONLY ADMIN|CREATE USER|GRANT OPTION/,
    );
  });

  it('let the monitor look at replication and write nowhere', () => {
    const grants = grantsOf(LAB_ACCOUNTS.monitor.user);
    expect(grants).toMatch(flavor === 'mysql' ? /REPLICATION CLIENT/ : /REPLICA MONITOR/);
    expect(grants).not.toMatch(/INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|SUPER|\bALL\b/);
  });

  it('create every account before they grant it anything', () => {
    for (const { user } of [LAB_ACCOUNTS.app, LAB_ACCOUNTS.monitor, LAB_ACCOUNTS.replication]) {
      const created = statements.findIndex((sql) => sql.startsWith(`CREATE USER '${user}'@`));
      const granted = statements.findIndex((sql) => sql.includes(`TO '${user}'@`));
      expect(created).toBeGreaterThanOrEqual(0);
      expect(granted).toBeGreaterThan(created);
    }
  });
});
