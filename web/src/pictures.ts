/** Pictures that the user gives, and where they come from: files, the clipboard, a drop, the samples. */

import { useEffect, useRef } from "preact/hooks";

export interface Picture {
    id: number;
    file: Blob;
    name: string;
    /** A blob: address that shows it. */
    url: string;
}

export interface Sample {
    /** The model that it is for. */
    model: string;
    path: string;
    title: string;
    credit: string;
}

export const SAMPLES: Sample[] = [
    { model: "scenes", path: "/page/scenes.jpg", title: "A cat", credit: "Chelsea, by Stéfan van der Walt, CC0" },
    { model: "faces", path: "/page/faces.jpg", title: "A face", credit: "Eileen Collins, NASA, public domain" },
];

let lastId = 0;

export function toPicture(file: Blob, name: string): Picture {
    lastId += 1;
    return { id: lastId, file, name, url: URL.createObjectURL(file) };
}

export async function loadSample(sample: Sample): Promise<Picture> {
    const response = await fetch(sample.path);
    return toPicture(await response.blob(), sample.path.replace("/page/", ""));
}

/** Files dropped anywhere on the page, and pictures pasted into it. */
export function useDropAndPaste(add: (files: File[]) => void, over: (isOver: boolean) => void) {
    const latest = useRef({ add, over });
    latest.current = { add, over };
    useEffect(() => {
        const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
        const drag = (event: DragEvent) => {
            if (!carriesFiles(event)) return;
            event.preventDefault();
            latest.current.over(true);
        };
        const leave = (event: DragEvent) => {
            if (event.relatedTarget === null) latest.current.over(false);
        };
        const drop = (event: DragEvent) => {
            if (!carriesFiles(event)) return;
            event.preventDefault();
            latest.current.over(false);
            latest.current.add([...(event.dataTransfer?.files ?? [])]);
        };
        const paste = (event: ClipboardEvent) => {
            const files = [...(event.clipboardData?.files ?? [])];
            if (files.length > 0) latest.current.add(files);
        };
        const heard: [string, (event: never) => void][] = [
            ["dragover", drag],
            ["dragleave", leave],
            ["drop", drop],
            ["paste", paste],
        ];
        for (const [name, heed] of heard) document.addEventListener(name, heed as EventListener);
        return () => {
            for (const [name, heed] of heard) document.removeEventListener(name, heed as EventListener);
        };
    }, []);
}
