/** A primitive that cannot be evaluated at complex points: its name is the message. */
export class NoComplexForm extends Error {}
