import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { targetInOptions } from '../../../../src/core/gateway/startup-options.js';

const NAME = 'conmgr.target_session_attrs';

describe('the start-up parameter options', () => {
  for (const [options, target] of [
    ['', undefined],
    [`-c ${NAME}=standby`, 'standby'],
    [`-c${NAME}=any`, 'any'],
    [`--${NAME}=primary`, 'primary'],
    ['--conmgr.target-session-attrs=primary', 'primary'],
    [`-c CONMGR.Target_Session_Attrs=standby`, 'standby'],
    [`-c geqo=off  -c ${NAME}=a -c ${NAME}=b`, 'b'],
    [`-c ${NAME}=two\\ words`, 'two words'],
    [`-c ${NAME}=`, ''],
    [`-c ${NAME}`, undefined],
    ['-c', undefined],
    [`-c x=${NAME}=a`, undefined],
    [`${NAME}=standby`, undefined],
    ['-c search_path=a\\', undefined],
  ] as const) {
    it(`${JSON.stringify(options)} names ${target ?? 'no target'}`, () => {
      assert.equal(targetInOptions(options), target);
    });
  }
});
