@echo off
rem Copies Continuo into this user's plugin folders. No rights of an administrator are needed.
rem With /quiet it does not wait for a key at its end.
setlocal EnableExtensions DisableDelayedExpansion
set "FROM=%~dp0"
set "COMMON=%LOCALAPPDATA%\Programs\Common"
set "RC=1"
if "%LOCALAPPDATA%"=="" (
    echo LOCALAPPDATA is not set, so the plugin folders are not known. 1>&2
    goto :end
)
if not exist "%FROM%Continuo.vst3\" (
    echo Extract the whole .zip first, then run install.cmd from its folder. 1>&2
    goto :end
)
set "TO=%COMMON%\CLAP"
set "ITEM=Continuo.clap"
set "COPY=copy /y"
set "REMOVE=del /q"
call :install
if errorlevel 1 goto :end
set "ITEM=Continuo.resources"
set "COPY=xcopy /e /i /q /y"
set "REMOVE=rmdir /s /q"
call :install
if errorlevel 1 goto :end
set "TO=%COMMON%\VST3"
set "ITEM=Continuo.vst3"
call :install
if errorlevel 1 goto :end
set "RC=0"
echo Continuo is installed. Let your DAW scan its plugins again.
:end
if /i not "%~1"=="/quiet" pause
exit /b %RC%

rem Copies ITEM beside its place, and then exchanges it for the one that is there: a DAW that holds
rem the old one keeps it whole. A virus scanner may hold a new file for a moment, so that each step is
rem tried five times.
:install
if not exist "%TO%\" mkdir "%TO%"
set "TRIES=0"
:again
%REMOVE% "%TO%\%ITEM%.new" >nul 2>nul
%COPY% "%FROM%%ITEM%" "%TO%\%ITEM%.new" >nul 2>nul
if errorlevel 1 goto :wait
%REMOVE% "%TO%\%ITEM%.old" >nul 2>nul
if not exist "%TO%\%ITEM%" goto :place
move /y "%TO%\%ITEM%" "%TO%\%ITEM%.old" >nul 2>nul
if errorlevel 1 goto :wait
:place
move /y "%TO%\%ITEM%.new" "%TO%\%ITEM%" >nul 2>nul
if errorlevel 1 goto :restore
%REMOVE% "%TO%\%ITEM%.old" >nul 2>nul
exit /b 0
:restore
move /y "%TO%\%ITEM%.old" "%TO%\%ITEM%" >nul 2>nul
:wait
set /a TRIES=TRIES+1
ping -n 2 127.0.0.1 >nul 2>nul
if %TRIES% lss 5 goto :again
%REMOVE% "%TO%\%ITEM%.new" >nul 2>nul
echo "%TO%\%ITEM%" cannot be written. Close your DAW, check that you may write there, and run this again. 1>&2
exit /b 1
