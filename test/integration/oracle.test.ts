import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../src/lib/errors.ts';
import { corpus } from '../oracle/corpus.ts';
import { functionsCalled, kindsRun } from '../oracle/coverage.ts';
import { type Courtroom, openCourtroom } from '../oracle/courtroom.ts';
import { judgeAll, type Judged } from '../oracle/judge.ts';
import { knownMisses } from '../oracle/known-misses.ts';
import type { Statement } from '../oracle/statement.ts';
import { compare, type Findings, findingsOf, shown, summary, textOf } from '../oracle/verdicts.ts';
import { FLAVORS } from '../support/flavors.ts';

/** Longer than a first run that fetches the server packages over a slow line. */
const START_DEADLINE_MS = 300_000;
const JUDGE_DEADLINE_MS = 180_000;
const DOWN_DEADLINE_MS = 60_000;

describe.each(FLAVORS)('the oracle of %s', (flavor) => {
  let room: Courtroom;
  let judged: Judged[];
  let findings: Findings;

  beforeAll(async () => {
    room = await openCourtroom(flavor);
  }, START_DEADLINE_MS);
  beforeAll(async () => {
    judged = await judgeAll(room, corpus(flavor)).catch(async (error: unknown) => {
      // Servers have bugs: if one of them fell over a statement, its log says so.
      throw new Error(`${messageOf(error)}\n${await room.logs()}`, { cause: error });
    });
    findings = findingsOf(compare(judged, room));
    console.log(summary(`${flavor} ${room.version}`, findings));
  }, JUDGE_DEADLINE_MS);
  afterAll(() => room.close(), DOWN_DEADLINE_MS);

  it('judges more than 3 000 statements, and all but a few of those that it is given', () => {
    const { total, neither, counts } = findings;
    expect(total - neither.length).toBeGreaterThan(3_000);
    expect(neither.length, neither.map(shown).join('\n')).toBeLessThan(total / 100);
    // The servers' own word, without what the corpus has to tell.
    expect(counts.write).toBeGreaterThan(1_000);
    expect(counts.read).toBeGreaterThan(1_000);
  });

  it('runs nearly every kind of statement that the server has, and calls every function', async () => {
    // What is left ends the server, replicates, or needs a build of its own.
    const kinds = await kindsRun(room);
    expect(kinds.missing.length, kinds.missing.join(' ')).toBeLessThan(kinds.total * 0.15);
    if (flavor !== 'mariadb') return;
    const functions = await functionsCalled(room, corpus(flavor));
    const left = functions.missing.filter(
      (name) => !/^WSREP_|^DECODE_HISTOGRAM$|^SCHEMAS$/.test(name),
    );
    expect(left).toEqual([]);
  });

  it('sees no write that could leave the primary', () => {
    expect(findings.writesAsReads.map(shown)).toEqual([]);
  });

  it('sees no change of state, and no question to one server, that is taken for a read', () => {
    expect(findings.stateAsReads.map(shown)).toEqual([]);
  });

  it('sees at least 99 % of true reads taken for reads', () => {
    const missed = findings.readsMissed.length / findings.counts.read;
    expect(missed, findings.readsMissed.map(shown).join('\n')).toBeLessThanOrEqual(0.01);
  });

  it('sees just those reads missed that are known, with their reasons', () => {
    const missed = findings.readsMissed.map(({ statement }) => textOf(statement)).toSorted();
    expect(missed).toEqual(knownMisses(flavor));
  });

  it('sees no write leave the primary while nothing is known of routines, but for views', () => {
    const blind = findingsOf(compare(judged, { ...room, routines: null }));
    const others = blind.writesAsReads.filter((each) => !/writes_v/i.test(textOf(each.statement)));
    expect(others.map(shown)).toEqual([]);
    // Those are the views that the catalogue is for; if they are none, nobody asked.
    expect(blind.writesAsReads.length).toBeGreaterThan(0);
  });

  it('is not told by the corpus what it can see itself', async () => {
    const verdicts = await judgeAll(
      room,
      SELF_EVIDENT.map(([, statement]) => statement),
    );
    expect(verdicts.map(({ statement, verdict }) => [verdict, textOf(statement)])).toEqual(
      SELF_EVIDENT.map(([verdict, statement]) => [verdict, textOf(statement)]),
    );
  });
});

/** A court that is blind acquits everybody. */
const SELF_EVIDENT: readonly (readonly [verdict: string, statement: Statement])[] = [
  ['read', { sql: 'SELECT id FROM item' }],
  ['read', { sql: 'SELECT @known', setup: ['SET @known = 1'] }],
  ['write', { sql: 'UPDATE item SET qty = 5' }],
  ['write', { sql: 'SELECT f_writes(1)' }],
  ['write', { sql: 'SELECT 1; DELETE FROM part WHERE id = 1' }],
  ['write', { sql: 'SELECT id FROM item FOR UPDATE' }],
  ['state', { sql: "SELECT GET_LOCK('self', 0)" }],
  ['state', { sql: 'SELECT @a := 1' }],
  ['state', { sql: 'SELECT f_sets()' }],
  ['neither', { sql: 'SELECT nothing FROM nowhere' }],
];
