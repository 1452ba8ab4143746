import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem } from '../../src/core/config/problem.js';
import { diffConmgrConfig, resolveConmgrConfig } from '../../src/core/config/resolve.js';

const HOST = 'backend_host0 = db\n';
const read = (lines: string) => resolveConmgrConfig(HOST + lines);
const errors = (lines: string): string[] => read(lines).problems.map(formatProblem);

describe('listener_portN, listener_target_session_attrsN, listener_modeN', () => {
  it('make further ports: any and auto by default, numbers with gaps, lines in any order', () => {
    const { config, problems } = read(
      'listener_target_session_attrs5 = secondary\nlistener_port0 = 27547\nlistener_mode5 = Gateway\nlistener_port5 = 27548',
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(config?.listeners, [
      { number: 0, port: 27547, target: 'any', mode: 'auto' },
      { number: 5, port: 27548, target: 'standby', mode: 'gateway' },
    ]);
  });

  it('there is none by default', () => {
    assert.deepEqual(read('').config?.listeners, []);
  });

  it('a number without a port is an error that names it', () => {
    assert.deepEqual(errors('listener_mode3 = auto'), [
      'conmgr.conf:2: listener 3 has "listener_mode3" but not "listener_port3"',
    ]);
  });

  it('a port that is taken by another parameter is an error', () => {
    assert.deepEqual(errors('listener_port0 = 27546'), [
      'conmgr.conf:2: parameters "port" and "listener_port0" are both 27546',
    ]);
    assert.deepEqual(errors('listener_port0 = 5\nlistener_port1 = 5'), [
      'conmgr.conf:3: parameters "listener_port0" and "listener_port1" are both 5',
    ]);
  });

  it('a wrong value is an error: port, target, mode', () => {
    assert.equal(errors('listener_port0 = 0').length, 1);
    assert.equal(errors("listener_port0 = ''").length, 1);
    assert.equal(errors('listener_port0 = 5\nlistener_target_session_attrs0 = preferPrimary').length, 1);
    assert.equal(errors('listener_port0 = 5\nlistener_mode0 = kernel').length, 1);
  });

  it('mode auto unless it is redirect or gateway', () => {
    const modes = read(
      'listener_port0 = 5\nlistener_port1 = 6\nlistener_port2 = 7\nlistener_mode1 = redirect\nlistener_mode2 = Gateway',
    ).config?.listeners.map(({ mode }) => mode);
    assert.deepEqual(modes, ['auto', 'redirect', 'gateway']);
  });

  it('a change needs a restart, and a reload says which', () => {
    const before = read('listener_port0 = 5\nlistener_port1 = 6').config!;
    const needed = (lines: string) => diffConmgrConfig(before, read(lines).config!).needsRestart;
    assert.deepEqual(needed('listener_port0 = 5\nlistener_port1 = 6'), []);
    assert.deepEqual(
      needed('listener_port0 = 5\nlistener_port1 = 6\nlistener_target_session_attrs1 = primary'),
      ['listener_target_session_attrs1'],
    );
    assert.deepEqual(needed('listener_port0 = 7\nlistener_port2 = 8'), [
      'listener_port0',
      'listener_port1',
      'listener_port2',
    ]);
  });
});
