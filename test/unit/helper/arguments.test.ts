import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HELPER_HELP, parseHelperArguments } from '../../../src/helper/arguments.js';

describe('the arguments of conmgr-helper', () => {
  it('are none for the service, with the places of the package', () => {
    assert.deepEqual(parseHelperArguments([]), {
      act: 'serve',
      socket: '/run/conmgr-helper/socket',
      targets: '/etc/conmgr/targets.d',
      pins: '/sys/fs/bpf/conmgr',
    });
  });

  it('name other places', () => {
    assert.deepEqual(parseHelperArguments(['--socket', '/s', '--targets', '/t', '--pins', '/p']), {
      act: 'serve',
      socket: '/s',
      targets: '/t',
      pins: '/p',
    });
    assert.deepEqual(
      parseHelperArguments(['load', '--cgroup', 'none', '--user', 'alice', '--object', '/o']),
      {
        act: 'load',
        pins: '/sys/fs/bpf/conmgr',
        cgroup: 'none',
        user: 'alice',
        object: '/o',
      },
    );
    const unload = parseHelperArguments(['unload']);
    assert.ok(unload.act === 'unload' && unload.cgroup === 'host');
  });

  it('are refused when unknown, incomplete, or of another command', () => {
    for (const [words, problem] of [
      [['--port', '1'], 'unknown argument "--port"'],
      [['start'], 'unknown argument "start"'],
      [['--socket'], 'option --socket needs a value'],
      [['clear', '--socket', '/s'], 'unknown argument "--socket"'],
      [['--cgroup', 'host'], 'unknown argument "--cgroup"'],
      [['load', 'unload'], 'unknown argument "unload"'],
    ] as const) {
      assert.deepEqual(parseHelperArguments(words), { act: 'wrong', problem });
    }
  });

  it('are all in the help', () => {
    assert.deepEqual(parseHelperArguments(['load', '--help']), { act: 'help' });
    assert.deepEqual(parseHelperArguments(['-V']), { act: 'version' });
    for (const word of [
      'clear',
      'load',
      'unload',
      '--socket',
      '--targets',
      '--pins',
      '--cgroup',
      '--user',
      '--object',
    ]) {
      assert.ok(HELPER_HELP.includes(word), word);
    }
  });
});
