import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../describe-with.ts';
import { type RedisServer, startRedis } from '../redis.ts';

describeWith('redis', 'the test Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test('forgets everything when it is killed and restarted empty', async () => {
    const client = new Redis(server.url, { maxRetriesPerRequest: null });
    client.on('error', () => {});
    await client.set('doorbell', '1');
    expect(await client.get('doorbell')).toBe('1');
    await server.restartEmpty();
    expect(await client.get('doorbell')).toBeNull();
    client.disconnect();
  });
});
