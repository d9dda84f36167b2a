import { describe, expect, it } from 'vitest';
import { mariadbMissing } from '../../../src/lab/replication-mariadb.ts';

describe('mariadbMissing', () => {
  it('finds nothing missing between equal states', () => {
    expect(mariadbMissing('0-1-10,0-2-12', '0-1-10,0-2-12')).toBe('');
  });

  it('finds nothing missing where the other server is behind', () => {
    expect(mariadbMissing('0-1-10,0-2-12', '0-1-9')).toBe('');
  });

  it('names the last number of each stream that is ahead', () => {
    expect(mariadbMissing('0-1-10', '0-1-11,0-2-12')).toBe('0-1-11,0-2-12');
  });

  it('keeps streams of different domains apart', () => {
    expect(mariadbMissing('1-1-50', '0-1-3')).toBe('0-1-3');
  });

  it('compares numbers as numbers, not as text, and beyond 2^53', () => {
    expect(mariadbMissing('0-1-9', '0-1-10')).toBe('0-1-10');
    expect(mariadbMissing('0-1-9007199254740993', '0-1-9007199254740992')).toBe('');
  });

  it('reads the empty state of a new server on either side', () => {
    expect(mariadbMissing('', '')).toBe('');
    expect(mariadbMissing('', '0-1-1')).toBe('0-1-1');
    expect(mariadbMissing('0-1-1', '')).toBe('');
  });
});
