"""Which file becomes which, and what is refused before anything is written."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from baryir_cli.errors import UsageError
from baryir_cli.files.jobs import STANDARD, Job
from baryir_cli.files.naming import Naming
from baryir_cli.files.plan import plan
from baryir_cli.images import heic


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder ``in`` with images and other files, some in subfolders."""
    for name in ["b.png", "a.jpg", "notes.txt", ".hidden.png", "sub/c.tif", "sub/deep/d.JPEG"]:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(jobs: list[Job], root: Path) -> list[tuple[str, str]]:
    return [
        (j.source.relative_to(root).as_posix(), j.target.relative_to(root).as_posix()) for j in jobs
    ]


def test_folder_takes_its_images_only(tree: Path) -> None:
    jobs = plan([tree / "in"], tree / "out", Naming())
    assert names(jobs, tree) == [("in/a.jpg", "out/a.jpg"), ("in/b.png", "out/b.png")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_a_pipe_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UsageError, match="a.png: neither a file nor a folder; to read from a pipe"):
        plan([tmp_path / "a.png"], tmp_path / "out.png", Naming())


def test_photographs_of_other_formats_are_counted(tree: Path) -> None:
    for name in ["x.JXL", "y.jxl", "a.NEF", "sub/z.nef"]:
        (tree / "in" / name).touch()
    notes: list[str] = []
    assert len(plan([tree / "in", tree / "in"], tree / "out", Naming(), notes.append)) == 2
    assert notes == [
        "left alone: 2 .jxl, 1 .nef, such as 'a.NEF'; export as TIFF, PNG or JPEG first"
    ]
    for image in ("a.jpg", "b.png"):
        (tree / "in" / image).unlink()
    with pytest.raises(
        UsageError, match="no images in .*in; 2 .jxl, 1 .nef, such as 'a.NEF': export as TIFF"
    ):
        plan([tree / "in"], tree / "out", Naming())


def test_heic_is_left_alone_without_the_package_for_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["x.HEIC", "y.heif", "z.nef"]:
        (tree / "in" / name).touch()
    assert len(plan([tree / "in"], tree / "out", Naming())) == 4
    monkeypatch.setattr(heic, "is_installed", lambda: False)
    notes: list[str] = []
    assert len(plan([tree / "in"], tree / "out", Naming(), notes.append)) == 2
    install = "to read and write HEIC, pip install pillow-heif"
    assert notes == [
        f"left alone: 1 .heic, 1 .heif, such as 'x.HEIC'; {install}",
        "left alone: 1 .nef, such as 'z.nef'; export as TIFF, PNG or JPEG first",
    ]
    for output, naming in (("x.heic", Naming()), ("out", Naming(format="heic"))):
        with pytest.raises(UsageError, match=f"heic: {install}"):
            plan([tree / "in" / "a.jpg"], tree / output, naming)


def test_images_without_a_known_suffix_are_counted(tree: Path) -> None:
    folder = tree / "in"
    (folder / "scan").write_bytes(b"MM\0*\0\0\0\x08")
    (folder / "photo.jpg ").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "readme").write_text("Made by me")
    notes: list[str] = []
    assert len(plan([folder], tree / "out", Naming(), notes.append)) == 2
    (note,) = notes
    assert note == (
        "left alone: 2 images without a known suffix, such as 'photo.jpg '; "
        "rename, or give as inputs"
    )
    jobs = plan([folder, folder / "scan"], tree / "out", Naming(), notes.append)
    assert ("in/scan", "out/scan.png") in names(jobs, tree)
    assert notes[1].startswith("left alone: 1 image without a known suffix, such as 'photo.jpg '")


def test_recursive_mirrors_the_tree(tree: Path) -> None:
    jobs = plan([tree / "in"], tree / "out", Naming(recursive=True))
    assert names(jobs, tree)[2:] == [
        ("in/sub/c.tif", "out/sub/c.tif"),
        ("in/sub/deep/d.JPEG", "out/sub/deep/d.JPEG"),
    ]


def test_output_inside_the_input_is_not_read_again(tree: Path) -> None:
    (tree / "in" / "sub" / "out").mkdir()
    (tree / "in" / "sub" / "out" / "c.tif").touch()
    jobs = plan([tree / "in"], tree / "in" / "sub" / "out", Naming(recursive=True))
    assert len(jobs) == 4


def test_several_files_and_folders_go_together(tree: Path) -> None:
    jobs = plan([tree / "in" / "sub", tree / "in" / "a.jpg"], tree / "out", Naming())
    assert names(jobs, tree) == [("in/sub/c.tif", "out/c.tif"), ("in/a.jpg", "out/a.jpg")]


def test_the_same_file_twice_is_one_job(tree: Path) -> None:
    jobs = plan([tree / "in" / "a.jpg", tree / "in"], tree / "out", Naming())
    assert len(jobs) == 2


def test_a_single_file_may_become_a_file(tree: Path) -> None:
    jobs = plan([tree / "in" / "a.jpg"], tree / "new" / "x.png", Naming())
    assert names(jobs, tree) == [("in/a.jpg", "new/x.png")]


@pytest.mark.parametrize("name", ["new", "haze_0.5", ".new"])
def test_a_single_file_may_go_into_a_folder(tree: Path, name: str) -> None:
    jobs = plan([tree / "in" / "a.jpg"], tree / name, Naming())
    assert names(jobs, tree) == [("in/a.jpg", f"{name}/a.jpg")]


@pytest.mark.parametrize("name", ["new.xyz", "new.png"])
def test_a_folder_may_be_named_like_a_file(tree: Path, name: str) -> None:
    jobs = plan([tree / "in" / "a.jpg"], tree / name, Naming(folder=True))
    assert names(jobs, tree) == [("in/a.jpg", f"{name}/a.jpg")]
    (tree / name).mkdir()
    assert plan([tree / "in" / "a.jpg"], tree / name, Naming()) == jobs


def test_explicit_file_of_any_name_is_tried(tree: Path) -> None:
    jobs = plan([tree / "in" / "notes.txt"], tree / "out", Naming())
    assert names(jobs, tree) == [("in/notes.txt", "out/notes.png")]


def test_suffix_and_format_change_the_names(tree: Path) -> None:
    jobs = plan([tree / "in"], tree / "out", Naming(format="jpeg", suffix="_clean"))
    assert [t for _, t in names(jobs, tree)] == ["out/a_clean.jpg", "out/b_clean.jpg"]


def test_names_that_clash_keep_their_old_extension(tmp_path: Path) -> None:
    for name in ["a.jpg", "a.png", "b.png"]:
        (tmp_path / name).touch()
    jobs = plan([tmp_path], tmp_path / "out", Naming(format="webp"))
    assert [j.target.name for j in jobs] == ["a_jpg.webp", "a_png.webp", "b.webp"]


def test_names_that_differ_in_case_only_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    (tmp_path / "x" / "A.png").touch()
    (tmp_path / "y" / "a.png").touch()
    jobs = plan([tmp_path / "x", tmp_path / "y"], tmp_path / "out", Naming())
    assert [j.target.name for j in jobs] == ["x_A.png", "y_a.png"]


def test_names_that_differ_in_how_their_accents_are_stored_are_kept_apart(tmp_path: Path) -> None:
    """Some file systems, as APFS, take them for one name."""
    for folder, form in (("x", "NFC"), ("y", "NFD")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / unicodedata.normalize(form, "café.png")).touch()
    jobs = plan([tmp_path / "x", tmp_path / "y"], tmp_path / "out", Naming())
    found = [unicodedata.normalize("NFC", j.target.name) for j in jobs]
    assert found == ["x_café.png", "y_café.png"]


def test_names_that_clash_everywhere_are_numbered(tmp_path: Path) -> None:
    inputs = []
    for place in ["p/same", "q/same", "r/same"]:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "a.png").touch()
        inputs.append(tmp_path / place)
    jobs = plan(inputs, tmp_path / "out", Naming())
    assert [j.target.name for j in jobs] == ["same_a.png", "same_a_2.png", "same_a_3.png"]


def test_old_extensions_and_folders_are_added_as_needed(tmp_path: Path) -> None:
    for name in ["x/a.jpg", "x/a.png", "y/a.png", "y/b.png", "y/x_a_png.jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    jobs = plan([tmp_path / "x", tmp_path / "y"], tmp_path / "out", Naming(format="webp"))
    assert [j.target.stem for j in jobs] == ["a_jpg", "x_a_png", "y_a_png", "b", "x_a_png_jpg"]


@pytest.mark.parametrize("output", ["in", "in/."])
def test_output_that_is_an_input_is_refused(tree: Path, output: str) -> None:
    with pytest.raises(UsageError, match="would be overwritten.*--in-place"):
        plan([tree / "in"], tree / output, Naming())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("new/../in", "in/a.jpg is an input and would be overwritten"),
        ("new/deep/../../in/", "in/a.jpg is an input and would be overwritten"),
        ("new/../in/b.png/sub", "b.png is a file, not a folder"),
        ("broken/../in", "broken is a link to nowhere, which does not exist"),
    ],
)
def test_a_way_through_a_missing_folder_hides_nothing(
    tree: Path, output: str, message: str
) -> None:
    (tree / "broken").symlink_to("nowhere")
    with pytest.raises(UsageError, match=message):
        plan([tree / "in"], tree / output, Naming())


def test_a_way_through_a_missing_folder_needs_no_such_folder(tree: Path) -> None:
    (job, _) = plan([tree / "in"], tree / "new" / ".." / "out", Naming())
    assert job.target == tree / "out" / "a.jpg"


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_way_through_a_link_leads_where_the_link_does(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "in" / "sub")
    with pytest.raises(UsageError, match=r"link/\.\./a.jpg is an input and would be overwritten"):
        plan([tree / "in"], tree / "link" / "..", Naming())


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_input_behind_a_link_is_refused(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "in", target_is_directory=True)
    with pytest.raises(UsageError, match="would be overwritten"):
        plan([tree / "in"], tree / "link", Naming())


@pytest.mark.parametrize("way", ["symlink_to", "hardlink_to"])
def test_an_output_that_is_a_link_to_its_input_is_refused(tree: Path, way: str) -> None:
    (tree / "out").mkdir()
    getattr(tree / "out" / "a.jpg", way)(tree / "in" / "a.jpg")
    message = r"out/a\.jpg is a link to the input .*in/a\.jpg, which .*; remove the link, or choose"
    with pytest.raises(UsageError, match=message):
        plan([tree / "in"], tree / "out", Naming())


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_an_output_may_not_link_to_its_input_over_a_missing_folder(tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "out" / "a.jpg").symlink_to("../missing/../in/a.jpg")
    with pytest.raises(UsageError, match="is a link to the input"):
        plan([tree / "in"], tree / "out", Naming())


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_an_output_to_which_an_input_links_is_an_input(tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "in" / "a.jpg").rename(tree / "out" / "a.jpg")
    (tree / "in" / "a.jpg").symlink_to(tree / "out" / "a.jpg")
    with pytest.raises(UsageError, match=r"out/a\.jpg is an input and would be overwritten"):
        plan([tree / "in"], tree / "out", Naming())


def test_names_that_differ_in_case_stay_in_place_and_differ_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("A.png", "a.png"):
        (folder / name).touch()
    if len(list(folder.iterdir())) < 2:
        pytest.skip("this file system does not tell upper from lower case")
    jobs = plan([folder], folder, Naming(in_place=True))
    assert [job.target for job in jobs] == [folder / "A.png", folder / "a.png"]
    (tmp_path / "other").mkdir()
    for name in ("b.png", "B.png", "a.PNG"):
        (tmp_path / "other" / name).touch()
    others = sorted((tmp_path / "other").iterdir())
    jobs = plan([folder / "a.png", *others], folder, Naming(in_place=True))
    assert names(jobs, tmp_path) == [
        ("in/a.png", "in/a.png"),
        ("other/B.png", "in/other_B.png"),
        ("other/a.PNG", "in/other_a.PNG"),
        ("other/b.png", "in/other_b_2.png"),
    ]
    jobs = plan([folder], tmp_path / "out", Naming())
    assert len({str(job.target).casefold() for job in jobs}) == 2


def test_in_place_replaces_the_inputs(tree: Path) -> None:
    jobs = plan([tree / "in"], tree / "in", Naming(in_place=True))
    assert all(j.source == j.target for j in jobs)


def test_the_comparison_is_beside_the_output(tree: Path) -> None:
    (job, _) = plan([tree / "in"], tree / "out", Naming(compare=True))
    assert job.comparison == tree / "out" / "a.jpg.compare.jpg"
    assert job.outputs == [job.target, job.comparison]


def test_comparisons_do_not_clash(tmp_path: Path) -> None:
    for name in ["a.jpg", "a.png"]:
        (tmp_path / name).touch()
    jobs = plan([tmp_path], tmp_path / "out", Naming(compare=True))
    assert len({p for j in jobs for p in j.outputs}) == 4
    pictured = tmp_path / "a.jpg.compare.jpg"
    pictured.touch()
    with pytest.raises(UsageError, match="two outputs would be"):
        plan([tmp_path, pictured], tmp_path / "out", Naming(compare=True))


def test_results_among_the_given_files_are_skipped(tmp_path: Path) -> None:
    """A shell's ``*.jpg`` gives them too."""
    files = [tmp_path / name for name in ["a.jpg", "a_r.jpg", "a_r.jpg.compare.jpg"]]
    for path in files:
        path.touch()
    (job,) = plan(files, tmp_path, Naming(suffix="_r", compare=True))
    assert job.source == files[0]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_results_behind_a_link_are_left_out(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "in", target_is_directory=True)
    for inputs, output in [("in", "link"), ("link", "in")]:
        jobs = plan([tree / inputs], tree / output, Naming(suffix="_r"))
        assert names(jobs, tree)[0] == (f"{inputs}/a.jpg", f"{output}/a_r.jpg")
        for job in jobs:
            job.target.touch()
    assert len(jobs) == 2


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_outputs_that_are_one_file_through_links_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "a.png").touch()
    (tmp_path / "out" / "x").mkdir(parents=True)
    (tmp_path / "out" / "y").symlink_to("x")
    with pytest.raises(
        UsageError, match="x/a.png and .*y/a.png are one file, through a link; choose"
    ):
        plan([tmp_path / "in"], tmp_path / "out", Naming(recursive=True))
    (tmp_path / "in" / "y" / "b.png").symlink_to("../x/a.png")
    with pytest.raises(
        UsageError, match="x/a.png and .*y/b.png are one file, through a link; choose"
    ):
        plan([tmp_path / "in"], tmp_path / "in", Naming(recursive=True, in_place=True))


def test_comparisons_in_a_folder_are_not_images(tree: Path) -> None:
    before = plan([tree / "in"], tree / "out", Naming())
    pictured = tree / "in" / "a.jpg.compare.jpg"
    pictured.touch()
    assert plan([tree / "in"], tree / "out", Naming()) == before
    assert plan([pictured], tree / "out", Naming())[0].source == pictured


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_links_are_images_and_loops_do_no_harm(tree: Path) -> None:
    (tree / "in" / "link.jpg").symlink_to(tree / "in" / "a.jpg")
    (tree / "in" / "loop.png").symlink_to(tree / "in" / "loop.png")
    jobs = plan([tree / "in"], tree / "out", Naming())
    assert [j.source.name for j in jobs] == ["a.jpg", "b.png", "link.jpg", "loop.png"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_links_to_folders_are_counted(tree: Path) -> None:
    for name in ("other", "out"):
        (tree / name).mkdir()
        (tree / "in" / name).symlink_to(tree / name)
    (tree / "in" / "sub" / "there").symlink_to(tree / "other")
    # These lead back into the inputs; as inputs of their own, they would give every image twice.
    (tree / "in" / "here").symlink_to(tree / "in")
    (tree / "in" / "sub" / "deep" / "up").symlink_to("..")
    notes: list[str] = []
    jobs = plan([tree / "in"], tree / "out", Naming(recursive=True), notes.append)
    assert len(jobs) == 4
    assert notes == ["left alone: 2 links to folders, such as 'other'; give them as inputs too"]
    notes.clear()
    plan([tree / "in", tree / "other"], tree / "result", Naming(recursive=True), notes.append)
    assert notes == ["left alone: 1 link to a folder, such as 'out'; give it as an input too"]
    (tree / "links").mkdir()
    (tree / "links" / "in").symlink_to(tree / "in")
    with pytest.raises(
        UsageError, match=r"links; 1 link to a folder, such as 'in': give it as an input too"
    ):
        plan([tree / "links"], tree / "out", Naming(recursive=True))


def test_a_folder_that_cannot_be_read_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    jobs = plan([tree / "in"], tree / "out", Naming(recursive=True))
    assert [(j.source.name, j.problem) for j in jobs if j.problem] == [("sub", "Permission denied")]
    assert len(jobs) == 3
    assert len(plan([tree / "in"], tree / "in", Naming(recursive=True, in_place=True))) == 3


@pytest.mark.parametrize(
    ("output", "naming", "message"),
    [
        ("x.gif", Naming(), "cannot write .gif"),
        ("x.JXL", Naming(), "cannot write .JXL"),
        ("x.xyz", Naming(), r"cannot write .xyz, only .png, .*x.xyz/"),
        ("x.jpg", Naming(format="png"), "--format is png"),
        ("x.jpg", Naming(suffix="_new"), r"--suffix is for outputs in a folder, but .*x.jpg is a"),
    ],
)
def test_unsuitable_output_names_are_refused(
    tree: Path, output: str, naming: Naming, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan([tree / "in" / "a.jpg"], tree / output, naming)


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["missing.png"], "out", "missing.png: no such file"),
        (["empty"], "out", "no images in .*empty"),
        (["nested"], "out", "--recursive includes subfolders"),
        (["in"], "-", "one input file"),
        (["in"], "in/a.jpg", "is a file"),
        (["-", "in"], "out", "only input"),
        (["-"], "in/a.jpg/out", "a.jpg is a file, not a folder"),
        (["in"], "unmounted/deep", "unmounted is a link to .*, which does not exist"),
        (["in/a.jpg"], "in/notes.txt/x.png", "notes.txt is a file, not a folder"),
        (["in/a.jpg"], "in/notes.txt/deep/", "notes.txt is a file, not a folder"),
    ],
)
def test_unsuitable_inputs_and_outputs_are_refused(
    tree: Path, inputs: list[str], output: str, message: str
) -> None:
    (tree / "empty").mkdir()
    (tree / "nested" / "more").mkdir(parents=True)
    (tree / "unmounted").symlink_to(tree / "disk")
    paths = [STANDARD if i == "-" else tree / i for i in inputs]
    with pytest.raises(UsageError, match=message):
        plan(paths, STANDARD if output == "-" else tree / output, Naming())


NEXT_RUN = "would be an input of the next run"


def test_another_format_into_the_inputs_folder_needs_a_suffix(tree: Path) -> None:
    """Without one, the next run would take the results for inputs."""
    folder = tree / "in"
    with pytest.raises(UsageError, match=rf"in/a.tif {NEXT_RUN}; choose .*add --suffix"):
        plan([folder], folder, Naming(format="tiff"))
    with pytest.raises(UsageError, match=rf"in/a.png {NEXT_RUN}; leave out --in-place and"):
        plan([folder], folder, Naming(format="png", in_place=True))
    (folder / "a.jpg").rename(tree / "a.jpg")
    (job,) = plan([folder], folder, Naming(format="png", in_place=True))
    assert job.source == job.target == folder / "b.png"
    (tree / "a.jpg").rename(folder / "a.jpg")
    wanted = [("in/a.jpg", "in/a_new.tif"), ("in/b.png", "in/b_new.tif")]
    for _ in range(2):
        jobs = plan([folder], folder, Naming(format="tiff", suffix="_new"))
        assert names(jobs, tree) == wanted
        for job in jobs:
            job.target.touch()
    (job,) = plan([folder / "a.jpg"], folder, Naming(format="tiff"))
    assert job.target == folder / "a.tif"


@pytest.mark.parametrize("naming", [Naming(), Naming(in_place=True)])
@pytest.mark.parametrize(
    ("others", "result"), [(["a.jpg", "b.png"], "(in|other)_a.jpg"), (["new.png"], "new.png")]
)
def test_several_inputs_into_one_of_them_need_a_suffix(
    tree: Path, others: list[str], result: str, naming: Naming
) -> None:
    """Names that clash are changed, and images of the other folder are new there."""
    folder, other = tree / "in", tree / "other"
    other.mkdir()
    for name in others:
        (other / name).touch()
    for inputs in ([folder, other], [folder, *other.iterdir()], [folder / ".." / "in", other]):
        with pytest.raises(UsageError, match=rf"in/{result} {NEXT_RUN}"):
            plan(inputs, folder, naming)
    jobs = plan([folder, other], folder, Naming(suffix="_r"))
    assert len(jobs) == 2 + len(others)
    for job in jobs:
        job.target.touch()
    assert plan([folder, other], folder, Naming(suffix="_r")) == jobs


def test_files_into_the_folder_of_one_of_them_are_no_inputs_of_the_next_run(tree: Path) -> None:
    (tree / "new.png").touch()
    jobs = plan([tree / "in" / "a.jpg", tree / "new.png"], tree / "in", Naming(in_place=True))
    assert names(jobs, tree) == [("in/a.jpg", "in/a.jpg"), ("new.png", "in/new.png")]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_results_that_the_next_run_would_find_are_refused_wherever_they_lie(tree: Path) -> None:
    folder = tree / "in"
    (folder / "sub" / "sub").mkdir()
    (folder / "sub" / "sub" / "x.png").touch()
    (tree / "link").symlink_to(folder)
    for name, aim in (("out", "sub/deep"), ("hidden", ".new")):
        (folder / aim).mkdir(exist_ok=True)
        (tree / name).mkdir()
        (tree / name / "there").symlink_to(folder / aim)
    (tree / "other" / "there").mkdir(parents=True)
    (tree / "other" / "there" / "y.png").touch()
    deep = Naming(recursive=True)
    for inputs, output, naming, result in [
        ([folder / "sub"], folder, deep, "in/sub/x.png"),
        ([folder], tree / "link", Naming(format="bmp"), "link/a.bmp"),
        ([tree / "other", folder], tree / "out", deep, "out/there/y.png"),
        ([folder, folder / "sub"], folder, Naming(), "in/c.tif"),
    ]:
        with pytest.raises(UsageError, match=rf"{result} {NEXT_RUN}"):
            plan(inputs, output, naming)
    for inputs, output, naming in [
        # Without --recursive, results lie in the output folder itself.
        ([folder / "sub"], folder, Naming()),
        # The search leaves out the output folder and hidden folders.
        ([folder], folder / "sub" / "out", deep),
        ([tree / "other", folder], tree / "hidden", deep),
        ([tree / "other"], tree / "out", deep),
        # A hidden name is read only if given.
        ([folder / ".hidden.png", folder / "sub"], folder / "sub", Naming(in_place=True)),
    ]:
        assert plan(inputs, output, naming)


def test_standard_input_and_output() -> None:
    (job,) = plan([STANDARD], STANDARD, Naming())
    assert job.source == job.target == STANDARD
    assert job.outputs == []
    (job,) = plan([STANDARD], Path("out"), Naming())
    assert job.target == Path("out/stdin.png")
    with pytest.raises(UsageError, match="--compare"):
        plan([STANDARD], STANDARD, Naming(compare=True))
