/** Predicts how a membership change affects the quorum. Pure. */
import { plural } from '../../components/ui.js';
import { isLive, isVoter } from './node-card.js';

function figures(voters, live) {
  const quorum = Math.floor(voters / 2) + 1;
  // `tolerates` is how many more live voters may fail before writes stop.
  return { voters, live, quorum, tolerates: Math.max(0, live - quorum) };
}

/** The voters, live voters, quorum and tolerated failures of the nodes. */
function figuresOf(nodes) {
  const voters = nodes.filter(isVoter);
  return figures(voters.length, voters.filter(isLive).length);
}

/** The figures `{before, after}` of an `action` ('add' | 'remove' | 'stop') on `node`. */
export function impact(nodes, action, node) {
  const before = figuresOf(nodes);
  const { voters, live } = before;
  if (action === 'add') return { before, after: figures(voters + 1, live + 1) };
  if (!isVoter(node)) return { before, after: before };
  return { before, after: figures(action === 'stop' ? voters : voters - 1, isLive(node) ? live - 1 : live) };
}

/** A sentence about the figures after the change: `{tone, text}`. */
export function verdict({ live, quorum, tolerates }) {
  if (live < quorum) {
    const text = `Only ${plural(live, 'voter')} would be live, fewer than the quorum of ${quorum}: writes would stop.`;
    return { tone: 'bad', text };
  }
  if (tolerates === 0) {
    return { tone: 'warn', text: 'The cluster would still work, but one more failure would stop writes.' };
  }
  return { tone: 'good', text: `The cluster would still tolerate ${plural(tolerates, 'failure')}.` };
}
