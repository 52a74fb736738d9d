export { TfjsBackend, createTfjsBackend } from "./backend.ts";
