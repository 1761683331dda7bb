/** Which model answers, and which of its versions. */

import type { Model } from "./api.ts";
import { TASKS } from "./words.ts";

/** The versions that take pictures, the newest first. */
export function choices(model: Model | undefined): string[] {
    const ready = model?.versions.filter((version) => version.state === "ready") ?? [];
    return ready.map((version) => version.version);
}

interface Props {
    usable: Model[];
    model: Model | undefined;
    /** None where the default version answers. */
    version: string | undefined;
    choose: (model: string, version: string | undefined) => void;
}

export function Chooser({ usable, model, version, choose }: Props) {
    const others = choices(model).filter((other) => other !== model?.version);
    return (
        <>
            <label>
                Model
                <select value={model?.name} onChange={(event) => choose(event.currentTarget.value, undefined)}>
                    {usable.map(({ name, task }) => (
                        <option key={name} value={name}>
                            {name} · {TASKS[task ?? ""] ?? task}
                        </option>
                    ))}
                </select>
            </label>
            <label>
                Version
                <select
                    value={version ?? ""}
                    onChange={(event) => model && choose(model.name, event.currentTarget.value || undefined)}
                >
                    <option value="">{model ? `${model.version} · default` : ""}</option>
                    {others.map((other) => (
                        <option key={other} value={other}>
                            {other}
                        </option>
                    ))}
                </select>
            </label>
        </>
    );
}
