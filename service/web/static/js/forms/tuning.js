// A tuned comparison: every arm is tuned on the same budget, and the chosen trials are compared on other seeds.

const DEFAULT_BUDGET = 8;
const DEFAULT_SPACE = { "optimizer.lr": { distribution: "log_uniform", low: 0.001, high: 1 } };
/** How far around its value the learning rate is searched. */
const FACTOR = 10;
/** Fields of a study that a tuned one has elsewhere. */
const REPLACED = ["arms", "grid", "sample", "seeds", "replicates", "folds", "metric", "epoch_by", "min_effect"];

/** Where the arms of a study are in its body. */
export function armsPointer(body) {
  return body.tune ? "/tune/arms" : "/arms";
}

export function armsOf(body) {
  return (body.tune ? body.tune.arms : body.arms) ?? {};
}

export function setArms(body, arms) {
  if (body.tune) body.tune.arms = arms;
  else body.arms = arms;
}

/** Make a study a tuned one with the same arms. */
export function tune(body) {
  const arms = armsOf(body);
  const lr = body.base?.optimizer?.lr;
  const near = { distribution: "log_uniform", low: lr / FACTOR, high: lr * FACTOR };
  for (const name of REPLACED) delete body[name];
  body.tune = { budget: DEFAULT_BUDGET, space: lr > 0 ? { "optimizer.lr": near } : DEFAULT_SPACE, arms };
}

/** Make a tuned study one that trains its arms as they are. */
export function untune(body) {
  if (!body.tune) return;
  const withoutSpace = ({ space, ...changes }) => changes;
  body.arms = Object.fromEntries(Object.entries(armsOf(body)).map(([name, arm]) => [name, withoutSpace(arm)]));
  delete body.tune;
}
