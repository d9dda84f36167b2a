import { describe, expect, it } from 'vitest';
import { effectNames, effectWords, reasonSentence } from '../../../src/cli/explain-words.ts';
import { ROUTE_REASONS } from '../../../src/routing/route.ts';
import { EFFECT, REASON_CODES } from '../../../src/sql/classification.ts';

/** Routing's reasons that say no more than the class, which the classifier explains better. */
const SPOKEN_FOR = ['read', 'write', 'unknown', 'session', 'local', 'same-server'];

describe('words for people', () => {
  it.each([...REASON_CODES, ...ROUTE_REASONS.filter((reason) => !SPOKEN_FOR.includes(reason))])(
    'there is a sentence for %s',
    (reason) => {
      const sentence = reasonSentence(reason);
      expect(sentence).toMatch(/^[A-Z@].*[^.]$/);
      expect(sentence).not.toBe(reason);
    },
  );

  it('there are words for each effect', () => {
    const all = Object.values(EFFECT);
    for (const bit of all) expect(effectWords(bit)).toHaveLength(1);
    expect(effectNames(EFFECT.SETS_USER_VARIABLE | EFFECT.OPAQUE)).toEqual([
      'sets-user-variable',
      'opaque',
    ]);
    expect(effectWords(0)).toEqual([]);
  });
});
