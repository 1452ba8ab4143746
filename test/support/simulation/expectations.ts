/**
 * What a scenario demands. An expectation that does not hold fails the test, also while outputs are being recorded,
 * so that a bound cannot be lost by recording.
 *
 *     expect s1 told within 2s..3.5s      conmgr told it, so long after the last fault
 *     expect s1 ended within 3s..4s       the server ended its session, so long after the last fault
 *     expect s1 keeps db1                 neither told nor ended: its session works
 *     expect app1 offers read-write db2   what an application would be sent to now; `nothing` if nobody
 *     expect app1 link db1 up             phase of a link
 *     expect recovery                     all links are up, everybody offers the newest primary
 *     expect silence                      nothing was noted since the last fault
 *     expect 1 notes containing "text"    in the whole scenario
 */
import { Promises } from './promises.js';
import { durationMs, ScenarioError, type Stage, targetOf, type Words } from './stage.js';

function demand(condition: boolean, text: string): void {
  if (!condition) throw new ScenarioError(text);
}

function within(stage: Stage, at: number | undefined, range: string, what: string): void {
  const [least, most] = range.split('..');
  const after = at === undefined || at < stage.faultAt ? undefined : at - stage.faultAt;
  demand(after !== undefined, `${what} did not happen after the fault`);
  demand(
    after! >= durationMs(least) && after! <= durationMs(most),
    `${what} happened ${after} ms after the fault, not within ${range}`,
  );
}

export function expectation(stage: Stage, { args }: Words): void {
  const { world } = stage;
  const [subject = '', verb = '', ...rest] = args;
  if (subject === 'recovery') {
    (stage.promises ?? new Promises(world)).demandRecovery();
    return;
  }
  if (subject === 'silence') {
    const noise = world.notes.filter(({ at }) => at >= stage.faultAt && at > 0);
    demand(
      noise.length === 0,
      `silence was broken: ${noise.map(({ who, what }) => `${who} ${what}`).join('; ')}`,
    );
    return;
  }
  if (verb === 'notes') {
    const wanted = rest.slice(1).join(' ').replaceAll('"', '');
    const count = world.notes.filter(({ who, what }) => `${who}: ${what}`.includes(wanted)).length;
    demand(count === Number(subject), `${count} notes contain "${wanted}", not ${subject}`);
    return;
  }
  switch (verb) {
    case 'told':
      within(stage, world.application(subject).toldAt, rest[1] ?? '', `telling ${subject}`);
      return;
    case 'ended':
      within(stage, world.application(subject).endedAt, rest[1] ?? '', `the end of ${subject}`);
      return;
    case 'keeps': {
      const { instance, toldAt, endedAt } = world.application(subject);
      const [wanted] = rest;
      demand(instance === wanted, `${subject} has its session on ${instance}, not ${wanted}`);
      demand(toldAt === undefined, `${subject} was told at ${toldAt}`);
      demand(endedAt === undefined, `${subject} was ended at ${endedAt}`);
      return;
    }
    case 'offers': {
      const [target, ...wanted] = rest;
      const found = world.conmgr(subject).core.resolve(targetOf(target));
      const names = found.map(({ instance }) => `db${instance}`).join(' ');
      demand(
        names === (wanted.join(' ') === 'nothing' ? '' : wanted.join(' ')),
        `${subject} offers ${names === '' ? 'nothing' : names} for ${target}, not ${wanted.join(' ')}`,
      );
      return;
    }
    case 'link': {
      const [name = '', phase] = rest;
      const instance = world.conmgr(subject).core.instances.find((one) => `db${one.number}` === name);
      demand(instance?.link.phase === phase, `the link to ${name} is ${instance?.link.phase}, not ${phase}`);
      return;
    }
    default:
      throw new ScenarioError(`"${verb}" is no expectation`);
  }
}
