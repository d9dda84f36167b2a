import { describe, expect, test } from 'vitest';
import { judgeRoutines } from '../../../src/monitor/routine-judge.ts';
import type { Definition, RoutineListing } from '../../../src/monitor/routine-listing.ts';
import { ROUTINE_KIND as KIND } from '../../../src/sql/routine-facts.ts';

const HIDDEN: Definition = { t: 'hidden' };

function definition(text: string | Definition): Definition {
  return typeof text === 'string' ? { t: 'text', text } : text;
}

interface Given {
  readonly functions?: Readonly<Record<string, string | Definition>>;
  readonly procedures?: Readonly<Record<string, string | Definition>>;
  readonly views?: Readonly<Record<string, string | Definition>>;
  readonly access?: string;
  readonly isSql?: boolean;
  readonly sqlMode?: string;
  readonly parameters?: readonly string[];
  readonly rest?: Partial<RoutineListing>;
}

/** Routines and views of `schema.name`, by their texts. */
function listing(given: Given): RoutineListing {
  const { access = 'READS SQL DATA', isSql = true, sqlMode = '', parameters = [] } = given;
  const named = (path: string) => {
    const [schema = '', name = ''] = path.split('.');
    return { schema, name };
  };
  const routines = (type: 'function' | 'procedure', texts: Given['functions'] = {}) =>
    Object.entries(texts).map(([path, text]) => ({
      ...named(path),
      type,
      access,
      isSql,
      sqlMode,
      parameters,
      body: definition(text),
    }));
  return {
    flavor: 'mysql',
    version: '9.7.4',
    routines: [
      ...routines('function', given.functions),
      ...routines('procedure', given.procedures),
    ],
    views: Object.entries(given.views ?? {}).map(([path, text]) => ({
      ...named(path),
      definition: definition(text),
    })),
    loadable: [],
    packages: [],
    isComplete: true,
    missingGrants: [],
    ...given.rest,
  };
}

const WORDS = new Map<number, string>(Object.entries(KIND).map(([word, kind]) => [kind, word]));

/** Kinds by path, and the paths of unsafe views. */
async function judge(given: Given) {
  const { routines, unsafeViews } = await judgeRoutines(listing(given));
  return {
    kinds: Object.fromEntries(
      routines.map(({ schema, name, kind }) => [`${schema}.${name}`, WORDS.get(kind)]),
    ),
    why: Object.fromEntries(routines.map(({ schema, name, why }) => [`${schema}.${name}`, why])),
    unsafe: unsafeViews.map(({ schema, name }) => `${schema}.${name}`).sort(),
  };
}

const INSERT = 'BEGIN INSERT INTO t VALUES (1); RETURN 1; END';
const READ = 'RETURN (SELECT COUNT(*) FROM t)';

describe('the judgement of a routine', () => {
  test('goes by its text, not by what was declared', async () => {
    const functions = {
      'app.r': READ,
      'app.w': INSERT,
      'app.s': 'BEGIN SET @seen = 1; RETURN 1; END',
      'app.l': "RETURN GET_LOCK('x', 1)",
      'app.both': 'BEGIN SET @seen = 1; DELETE FROM t; RETURN 1; END',
    };
    const expected = {
      'app.r': 'READS',
      'app.w': 'WRITES',
      'app.s': 'STATEFUL_READ',
      'app.l': 'STATEFUL_READ',
      'app.both': 'OPAQUE',
    };
    for (const access of ['READS SQL DATA', 'MODIFIES SQL DATA', 'CONTAINS SQL', 'NO SQL']) {
      expect((await judge({ functions, access })).kinds).toEqual(expected);
    }
  });

  test('goes by what is declared where the text is hidden, for functions only', async () => {
    const given = { functions: { 'app.f': HIDDEN }, procedures: { 'app.p': HIDDEN } };
    for (const [access, kind] of [
      ['READS SQL DATA', 'READS'],
      ['NO SQL', 'READS'],
      ['CONTAINS SQL', 'UNKNOWN'],
      ['MODIFIES SQL DATA', 'UNKNOWN'],
    ] as const) {
      const { kinds } = await judge({ ...given, access });
      expect(kinds).toEqual({ 'app.f': kind, 'app.p': 'OPAQUE' });
    }
  });

  test('knows nothing of other languages and of texts that are too long', async () => {
    const functions = { 'app.f': 'return 1' };
    expect((await judge({ functions, isSql: false })).kinds).toEqual({ 'app.f': 'UNKNOWN' });
    const long = { functions: { 'app.f': { t: 'too-long' } as const } };
    expect((await judge(long)).kinds).toEqual({ 'app.f': 'UNKNOWN' });
  });

  test('adds what it calls, however deep, and however it goes round', async () => {
    const { kinds, why } = await judge({
      functions: {
        'app.top': 'RETURN middle(1)',
        'app.middle': 'RETURN app.bottom(1) + 1',
        'app.bottom': INSERT,
        'app.even': 'RETURN IF(1, odd(1), 0)',
        'app.odd': 'RETURN IF(1, even(1), 0)',
        'app.round': 'RETURN IF(1, about(1), 0)',
        'app.about': 'RETURN IF(1, round_(1), top(1))',
        'app.round_': 'RETURN round_(1)',
      },
    });
    expect(kinds).toEqual({
      'app.top': 'WRITES',
      'app.middle': 'WRITES',
      'app.bottom': 'WRITES',
      'app.even': 'READS',
      'app.odd': 'READS',
      'app.round': 'WRITES',
      'app.about': 'WRITES',
      'app.round_': 'READS',
    });
    expect(why['app.middle']).toBe('uses app.bottom');
  });

  test('looks for what it calls in its own schema', async () => {
    const { kinds } = await judge({
      functions: {
        'one.f': 'RETURN g(1)',
        'one.g': READ,
        'two.f': 'RETURN g(1)',
        'two.g': INSERT,
        'three.f': 'RETURN g(1)',
        'three.h': 'RETURN ONE.G(1)',
      },
    });
    expect(kinds).toMatchObject({
      'one.f': 'READS',
      'two.f': 'WRITES',
      'three.f': 'UNKNOWN',
      'three.h': 'READS',
    });
  });

  test('knows nothing of what calls a loadable function', async () => {
    const { kinds } = await judge({
      functions: { 'app.f': 'RETURN g(1)', 'app.g': READ },
      rest: { loadable: [{ name: 'G', isInstalled: true }] },
    });
    expect(kinds).toEqual({ 'app.f': 'UNKNOWN', 'app.g': 'READS' });
  });

  test('knows nothing of what calls a package, or a schema that is called the same', async () => {
    const functions = { 'app.f': 'RETURN one.g(1)', 'app.h': 'RETURN two.g(1)' };
    const both = { ...functions, 'one.g': READ, 'two.g': READ };
    const { kinds } = await judge({ functions: both, rest: { packages: ['ONE'] } });
    expect(kinds).toMatchObject({ 'app.f': 'UNKNOWN', 'app.h': 'READS' });
  });

  test('a procedure that may leave anything in the session is opaque', async () => {
    const { kinds } = await judge({
      procedures: {
        'app.r': 'SELECT 1',
        'app.w': 'BEGIN UPDATE t SET n = n + 1; CALL app.r(); END',
        'app.s': 'CREATE TEMPORARY TABLE scratch (n INT)',
        'app.d': "BEGIN PREPARE s FROM 'SELECT 1'; EXECUTE s; END",
        'app.c': 'CALL d()',
      },
    });
    expect(kinds).toEqual({
      'app.r': 'READS',
      'app.w': 'WRITES',
      'app.s': 'OPAQUE',
      'app.d': 'OPAQUE',
      'app.c': 'OPAQUE',
    });
  });

  test('sets its own parameters at will', async () => {
    const procedures = { 'app.p': 'SET answer = (SELECT MAX(n) FROM t)' };
    expect((await judge({ procedures })).kinds).toEqual({ 'app.p': 'OPAQUE' });
    const { kinds } = await judge({ procedures, parameters: ['Answer'] });
    expect(kinds).toEqual({ 'app.p': 'READS' });
  });

  test('reads quotes by the mode that the routine was made under', async () => {
    const functions = { 'app.f': 'RETURN "w"(1)', 'app.w': INSERT };
    const { kinds } = await judge({ functions, sqlMode: 'REAL_AS_FLOAT,ANSI_QUOTES' });
    expect(kinds).toMatchObject({ 'app.f': 'WRITES' });
  });
});

describe('the judgement of a view', () => {
  const functions = { 'app.f': READ, 'app.w': INSERT };

  test('is unsafe if it calls what does not only read, or reads a view that does', async () => {
    const { unsafe, kinds } = await judge({
      functions: { ...functions, 'app.via': 'RETURN (SELECT MAX(x) FROM Bad2)' },
      views: {
        'app.plain': 'select `app`.`t`.`id` AS `id` from `app`.`t`',
        'app.good': 'select `app`.`f`(1) AS `x`,lower(`app`.`t`.`n`) AS `y` from `app`.`t`',
        'app.bad': 'select `app`.`w`(1) AS `x` from `app`.`t`',
        'app.bad2': 'select `app`.`bad`.`x` AS `x` from `app`.`bad`',
        'other.strange': 'select `app`.`nothing`(1) AS `x`',
      },
    });
    expect(unsafe).toEqual(['app.bad', 'app.bad2', 'other.strange']);
    expect(kinds).toMatchObject({ 'app.via': 'WRITES' });
  });

  test('with a hidden text is trusted only if there is nothing to fear', async () => {
    const views = { 'app.v': HIDDEN };
    const unsafeWith = async (given: Given) => (await judge({ views, ...given })).unsafe;
    expect(await unsafeWith({ functions: { 'app.f': READ } })).toEqual([]);
    expect(await unsafeWith({ functions })).toEqual(['app.v']);
    expect(await unsafeWith({ procedures: { 'app.p': 'DELETE FROM t' } })).toEqual([]);
    // What the server brings with it is not what an application's view calls.
    expect(await unsafeWith({ functions: { 'sys.w': INSERT } })).toEqual([]);
    const loaded = (isInstalled: boolean) => ({ loadable: [{ name: 'u', isInstalled }] });
    expect(await unsafeWith({ rest: loaded(false) })).toEqual([]);
    expect(await unsafeWith({ rest: loaded(true) })).toEqual(['app.v']);
    expect(await unsafeWith({ rest: { isComplete: false } })).toEqual(['app.v']);
  });
});

describe('judging many routines', () => {
  test('lets other work happen meanwhile, and a chain of calls costs no stack', async () => {
    const count = 3000;
    const body = (n: number) =>
      n === count - 1 ? INSERT : `RETURN f${n + 1}(${'1 + '.repeat(100)} 1)`;
    const functions = Object.fromEntries(
      Array.from({ length: count }, (_, n) => [`app.f${n}`, body(n)]),
    );
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    try {
      const { kinds } = await judge({ functions });
      expect(new Set(Object.values(kinds))).toEqual(new Set(['WRITES']));
    } finally {
      clearInterval(timer);
    }
    expect(turns).toBeGreaterThan(1);
  });
});
