import { describe, expect, it } from 'vitest';
import { withThreadsStopped } from '../../../src/lab/stopped-threads.ts';

/** A server whose threads start only after so many statements that stop them. */
class StartingServer {
  readonly seen: string[] = [];
  #late: number;

  constructor(late: number) {
    this.#late = late;
  }

  query = (sql: string) => {
    this.seen.push(sql);
    return Promise.resolve([]);
  };

  change = (): Promise<void> => {
    this.seen.push('CHANGE');
    this.#late -= 1;
    if (this.#late < 0) return Promise.resolve();
    return Promise.reject(refusal(3081));
  };
}

function refusal(errno: number): Error {
  return Object.assign(new Error('refused'), { errno });
}

describe('withThreadsStopped', () => {
  it('stops the threads once where that is enough', async () => {
    const server = new StartingServer(0);
    await withThreadsStopped(server.query, 'STOP', server.change);
    expect(server.seen).toEqual(['STOP', 'CHANGE']);
  });

  it('stops threads again that started only after they had been stopped', async () => {
    const server = new StartingServer(2);
    await withThreadsStopped(server.query, 'STOP', server.change);
    expect(server.seen).toEqual(['STOP', 'CHANGE', 'STOP', 'CHANGE', 'STOP', 'CHANGE']);
  });

  it.each([1045, 1200])('does not repeat what fails for another reason (%i)', async (errno) => {
    const server = new StartingServer(0);
    const failing = withThreadsStopped(server.query, 'STOP', () => Promise.reject(refusal(errno)));
    await expect(failing).rejects.toMatchObject({ errno });
    expect(server.seen).toEqual(['STOP']);
  });
});
