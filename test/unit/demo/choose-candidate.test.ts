import { describe, expect, it } from 'vitest';
import { type Candidate, chooseCandidate } from '../../../src/demo/choose-candidate.ts';

const UUID = '8939ddc5-e4aa-11f1-9401-02fc00000001';

const server = (id: string, fields: Partial<Candidate>): Candidate => ({
  id,
  role: 'replica',
  state: 'running',
  position: `${UUID}:1-5`,
  ...fields,
});

describe('the replica to promote', () => {
  it('is the one that has executed the most', () => {
    const servers = [
      server('db1', { role: 'primary', state: 'stopped', position: null }),
      server('db2', {}),
      server('db3', { position: `${UUID}:1-7` }),
    ];
    expect(chooseCandidate('mysql', servers)).toBe('db3');
    const mariadb = [server('db2', { position: '0-1-9' }), server('db3', { position: '0-1-8' })];
    expect(chooseCandidate('mariadb', mariadb)).toBe('db2');
  });

  it('is the first of those that are level, and never one that does not run', () => {
    expect(chooseCandidate('mysql', [server('db2', {}), server('db3', {})])).toBe('db2');
    const servers = [server('db2', { state: 'stopped', position: null }), server('db3', {})];
    expect(chooseCandidate('mysql', servers)).toBe('db3');
  });

  it('is an error that says so when there is none', () => {
    expect(() => chooseCandidate('mysql', [])).toThrow('No replica runs');
  });
});
