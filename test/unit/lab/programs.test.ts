import { describe, expect, it } from 'vitest';
import { checkVersion } from '../../../src/lab/programs.ts';

const MYSQL = '/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))';
const MARIADB =
  'mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)';

describe('checkVersion', () => {
  it('reads the version of each flavor', () => {
    expect(checkVersion('mysql', MYSQL)).toBe('9.7.4');
    expect(checkVersion('mariadb', MARIADB)).toBe('10.11.19');
  });

  it('refuses a mysqld that is the other flavor', () => {
    expect(() => checkVersion('mysql', MARIADB)).toThrow('it is mariadb 10.11.19, not mysql');
    expect(() => checkVersion('mariadb', MYSQL)).toThrow('it is mysql 9.7.4, not mariadb');
  });

  it.each(['5.7.44', '8.0.25'])('refuses MySQL %s, which lacks statements the lab uses', (old) => {
    expect(() => checkVersion('mysql', `mysqld  Ver ${old} for Linux`)).toThrow(
      'older than 8.0.26',
    );
  });

  it.each(['8.0.26', '8.0.27', '8.1.0', '8.4.0', '10.0.0'])('accepts MySQL %s', (version) => {
    expect(checkVersion('mysql', `mysqld  Ver ${version} for Linux`)).toBe(version);
  });

  it('shows what was printed when there is no version in it', () => {
    expect(() => checkVersion('mysql', 'Segmentation fault')).toThrow('"Segmentation fault"');
  });
});
