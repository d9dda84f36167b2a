import { describe, expect, test } from 'vitest';
import {
  type JudgedListing,
  type JudgedRoutine,
  RoutineCatalogue,
} from '../../../src/monitor/routine-catalogue.ts';
import { ROUTINE_KIND as KIND, type RoutineKind } from '../../../src/sql/routine-facts.ts';

function routine(path: string, kind: RoutineKind, type: JudgedRoutine['type'] = 'function') {
  const [schema = '', name = ''] = path.split('.');
  return { schema, name, type, kind, why: '' };
}

function catalogue(given: Partial<JudgedListing>): RoutineCatalogue {
  return new RoutineCatalogue({
    routines: [],
    unsafeViews: [],
    loadable: [],
    packages: [],
    isComplete: true,
    ...given,
  });
}

/** Asks for `name` or `schema.name` as the classifier does. */
function ask(facts: RoutineCatalogue, path: string, type: JudgedRoutine['type'] = 'function') {
  const buf = Buffer.from(path);
  const dot = path.indexOf('.');
  const [nameStart, schemaStart, schemaEnd] = dot < 0 ? [0, -1, -1] : [dot + 1, 0, dot];
  return type === 'function'
    ? facts.functionKind(buf, nameStart, buf.length, schemaStart, schemaEnd)
    : facts.procedureKind(buf, nameStart, buf.length, schemaStart, schemaEnd);
}

const names = (facts: RoutineCatalogue, name: string) =>
  facts.unsafeView(Buffer.from(name), 0, Buffer.byteLength(name));

describe('the catalogue of routines', () => {
  test('tells functions and procedures apart, and schemas, whatever their case', () => {
    const facts = catalogue({
      routines: [
        routine('app.f', KIND.READS),
        routine('app.w', KIND.WRITES),
        routine('app.s', KIND.STATEFUL_READ),
        routine('app.f', KIND.WRITES, 'procedure'),
      ],
    });
    expect(ask(facts, 'f')).toBe(KIND.READS);
    expect(ask(facts, 'APP.F')).toBe(KIND.READS);
    expect(ask(facts, 'app.w')).toBe(KIND.WRITES);
    expect(ask(facts, 'S')).toBe(KIND.STATEFUL_READ);
    expect(ask(facts, 'f', 'procedure')).toBe(KIND.WRITES);
    expect(ask(facts, 'other.f')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'g')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'w', 'procedure')).toBe(KIND.OPAQUE);
  });

  test('takes a name without schema for the worst of all of that name', () => {
    const facts = catalogue({
      routines: [
        routine('one.f', KIND.READS),
        routine('two.f', KIND.READS),
        routine('one.g', KIND.READS),
        routine('two.g', KIND.WRITES),
        routine('one.h', KIND.STATEFUL_READ),
        routine('two.h', KIND.WRITES),
        routine('one.u', KIND.READS),
        routine('two.u', KIND.UNKNOWN),
        routine('one.p', KIND.READS, 'procedure'),
        routine('two.p', KIND.OPAQUE, 'procedure'),
      ],
    });
    expect(ask(facts, 'f')).toBe(KIND.READS);
    expect(ask(facts, 'g')).toBe(KIND.WRITES);
    expect(ask(facts, 'one.g')).toBe(KIND.READS);
    expect(ask(facts, 'h')).toBe(KIND.OPAQUE);
    expect(ask(facts, 'u')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'p', 'procedure')).toBe(KIND.OPAQUE);
    expect(ask(facts, 'one.p', 'procedure')).toBe(KIND.READS);
  });

  test('knows no name without schema if some routine may be hidden', () => {
    const facts = catalogue({ routines: [routine('app.f', KIND.READS)], isComplete: false });
    expect(ask(facts, 'f')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'app.f')).toBe(KIND.READS);
  });

  test('a loadable function comes before a stored one, unless a schema is named', () => {
    const facts = catalogue({ routines: [routine('app.f', KIND.READS)], loadable: ['F', 'udf'] });
    expect(ask(facts, 'f')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'udf')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'app.f')).toBe(KIND.READS);
  });

  test('what a package and a schema may both be called is not known', () => {
    const facts = catalogue({ routines: [routine('app.f', KIND.READS)], packages: ['APP'] });
    expect(ask(facts, 'app.f')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'f')).toBe(KIND.READS);
  });

  test('names that differ by case or accents only are one', () => {
    const facts = catalogue({
      routines: [
        routine('app.f', KIND.READS),
        routine('App.F', KIND.WRITES),
        routine('app.e', KIND.READS),
        routine('other.é', KIND.WRITES),
      ],
    });
    expect(ask(facts, 'app.f')).toBe(KIND.WRITES);
    expect(ask(facts, 'e')).toBe(KIND.WRITES);
    expect(ask(facts, 'é')).toBe(KIND.UNKNOWN);
  });

  test('names unsafe views in any schema, and is careful with letters of other alphabets', () => {
    const view = (name: string) => ({ schema: 'app', name, why: '' });
    const plain = catalogue({ unsafeViews: [view('Totals')] });
    expect(plain.hasUnsafeViews).toBe(true);
    expect(names(plain, 'totals')).toBe(true);
    expect(names(plain, 'total')).toBe(false);
    expect(names(plain, 'ü')).toBe(false);
    const foreign = catalogue({ unsafeViews: [view('übersicht')] });
    expect(names(foreign, 'ansicht')).toBe(false);
    expect(names(foreign, 'übersicht')).toBe(true);
    expect(names(foreign, 'höhe')).toBe(true);
    expect(catalogue({}).hasUnsafeViews).toBe(false);
  });

  test('forgets routines but not views while a routine may have changed', () => {
    const facts = catalogue({
      routines: [routine('app.f', KIND.READS), routine('app.p', KIND.READS, 'procedure')],
      unsafeViews: [{ schema: 'app', name: 'v', why: '' }],
    }).withoutRoutines();
    expect(ask(facts, 'app.f')).toBe(KIND.UNKNOWN);
    expect(ask(facts, 'app.p', 'procedure')).toBe(KIND.OPAQUE);
    expect(names(facts, 'v')).toBe(true);
    expect(RoutineCatalogue.EMPTY.hasUnsafeViews).toBe(false);
    expect(ask(RoutineCatalogue.EMPTY, 'f')).toBe(KIND.UNKNOWN);
  });
});
