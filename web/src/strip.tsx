/** The pictures at hand, and the ways to give more. */

import { useRef, useState } from "preact/hooks";
import type { Result } from "./answers.ts";
import { Camera, hasCamera } from "./camera.tsx";
import { Icon } from "./icons.tsx";
import { type Picture, SAMPLES, type Sample, toPicture } from "./pictures.ts";

interface Adding {
    addFiles: (files: File[]) => void;
    add: (pictures: Picture[]) => void;
}

export function AddPictures({ addFiles, add }: Adding) {
    const files = useRef<HTMLInputElement>(null);
    const photo = useRef<HTMLInputElement>(null);
    const [camera, setCamera] = useState(false);
    const take = (input: HTMLInputElement) => {
        addFiles([...(input.files ?? [])]);
        input.value = "";
    };
    const hidden = { type: "file", class: "hidden", tabIndex: -1, "aria-hidden": true, accept: "image/*" } as const;
    return (
        <div class="adding">
            <input {...hidden} multiple ref={files} onChange={(event) => take(event.currentTarget)} />
            <input {...hidden} capture="environment" ref={photo} onChange={(event) => take(event.currentTarget)} />
            <button type="button" class="primary" onClick={() => files.current?.click()}>
                <Icon name="upload" />
                Choose pictures
            </button>
            <button type="button" onClick={() => (hasCamera() ? setCamera(true) : photo.current?.click())}>
                <Icon name="camera" />
                Camera
            </button>
            {camera && (
                <Camera
                    close={() => setCamera(false)}
                    take={(blob) => {
                        add([toPicture(blob, "photo.jpg")]);
                        setCamera(false);
                    }}
                />
            )}
        </div>
    );
}

export function Welcome({ addSample, ...adding }: Adding & { addSample: (sample: Sample) => void }) {
    return (
        <div class="welcome">
            <div class="drop">
                <Icon name="picture" />
                <h2>What does the model see?</h2>
                <p>Drop pictures here, paste one, or choose them. They go to this server only.</p>
                <AddPictures {...adding} />
            </div>
            <h3>Or begin with a sample</h3>
            <ul class="samples">
                {SAMPLES.map((sample) => (
                    <li key={sample.path}>
                        <button type="button" onClick={() => addSample(sample)}>
                            <img src={sample.path} alt="" />
                            <span>
                                <strong>{sample.title}</strong>
                                <small>{sample.credit}</small>
                            </span>
                        </button>
                    </li>
                ))}
            </ul>
        </div>
    );
}

interface StripProps {
    pictures: Picture[];
    chosen: number | undefined;
    choose: (id: number) => void;
    remove: (picture: Picture) => void;
    resultOf: (picture: Picture) => Result;
}

const STATES = { waiting: ", waiting", answered: "", failed: ", failed" };

export function Strip({ pictures, chosen, choose, remove, resultOf }: StripProps) {
    return (
        <ul class="strip" aria-label="Pictures">
            {pictures.map((picture) => {
                const { state } = resultOf(picture);
                return (
                    <li key={picture.id} class={state}>
                        <button
                            type="button"
                            class="thumbnail"
                            aria-pressed={picture.id === chosen}
                            aria-label={`${picture.name}${STATES[state]}`}
                            title={picture.name}
                            onClick={() => choose(picture.id)}
                        >
                            {state === "failed" ? <Icon name="warning" /> : <img src={picture.url} alt="" />}
                        </button>
                        <button type="button" class="remove" aria-label={`Remove ${picture.name}`} onClick={() => remove(picture)}>
                            <Icon name="cross" />
                        </button>
                    </li>
                );
            })}
        </ul>
    );
}
